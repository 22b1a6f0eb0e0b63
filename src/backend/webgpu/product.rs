//! Matrix products, and products with weights of any format, which are dequantized where they are read.

use super::{
    WebGpuBackend,
    elementwise::row_distance,
    memory::{Encoding, Memory},
    memory_of,
    norm::BIAS_STRIDE,
    params::Params,
    recorder::{Groups, Job},
    rows::{Finish, Products},
    shader::{self, Class, pieces},
};
use crate::{
    backend::{Meta, View},
    error::{Error, Result},
    layout::Layout,
};

/// Rows and columns of the results of one workgroup.
const TILE: usize = 64;

impl WebGpuBackend {
    pub(super) fn matmul(&self, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Memory> {
        const OP: &str = "matmul";
        let batch = |layout: &Layout| {
            let outer = layout.dims().len() - 2;
            Layout::new(layout.dims()[..outer].into(), layout.strides()[..outer].to_vec(), layout.start())
        };
        let outer = out.shape.rank() - 2;
        let (m, k, n) = (out.shape.dims()[outer], a.layout.dims()[outer + 1], out.shape.dims()[outer + 1]);
        let (a_strides, b_strides) = (&a.layout.strides()[outer..], &b.layout.strides()[outer..]);
        let (a_batch, b_batch) = (batch(a.layout), batch(b.layout));
        let count = a_batch.shape().elements();
        let params = Params::over(OP, &[(0, &a_batch), (1, &b_batch)])?.k(OP, [m, n, k, 0])?.inner_words(
            OP,
            0,
            &[a_strides[0], a_strides[1], b_strides[0], b_strides[1]],
        )?;
        let operands = [memory_of(a)?, memory_of(b)?];
        let mut job = Job::threads(OP, &shader::MATMUL, Class::of(out.dtype), &operands, out.dtype, params);
        job.groups = Groups::Grid(n.div_ceil(TILE), m.div_ceil(TILE), count.min(1 << 15));
        self.run(job, out)
    }

    pub(super) fn linear(&self, inputs: &[View<'_>], out: &Meta) -> Result<Memory> {
        const OP: &str = "linear";
        let [x, w, bias @ ..] = inputs else { return Err(Error::argument(OP, "takes a weight")) };
        // Rows at equal distances, whose elements adjoin.
        let (x_copy, w_copy) = (self.rows_that_adjoin(OP, x)?, self.rows_that_adjoin(OP, w)?);
        let moved = |copy: &'_ _, view: &View<'_>| -> Layout {
            let copy: &Option<(_, Layout)> = copy;
            copy.as_ref().map_or_else(|| view.layout.clone(), |(_, layout)| layout.clone())
        };
        let (x_layout, w_layout) = (moved(&x_copy, x), moved(&w_copy, w));
        let x = View { storage: x_copy.as_ref().map_or(x.storage, |(s, _)| s), layout: &x_layout, dtype: x.dtype };
        let w = View { storage: w_copy.as_ref().map_or(w.storage, |(s, _)| s), layout: &w_layout, dtype: w.dtype };
        let finish = bias.first().map_or(Finish::Plain, Finish::Bias);
        let products = Products { op: OP, x: &x, norm: None, weights: std::slice::from_ref(&w), finish };
        if let Some(found) = self.products(products, out)? {
            return Ok(found);
        }
        let &[n, k] = w.layout.dims() else { return Err(Error::argument(OP, "takes a matrix of weights")) };
        let last = x.layout.dims().len() - 1;
        let rows = Layout::new(x.layout.dims()[..last].into(), x.layout.strides()[..last].to_vec(), 0);
        let (m, distance) = (rows.shape().elements(), row_distance(&rows, k).unwrap_or(k));
        let distances = [distance, w.layout.strides()[0]];
        let mut params = Params::new(OP, out.shape.elements())?.k(OP, [m, n, k, 0])?.inner_words(OP, 0, &distances)?;
        params.start(OP, 0, x.layout.start())?;
        params.start(OP, 1, w.layout.start())?;
        let mut operands = vec![memory_of(&x)?, memory_of(&w)?];
        if let Some(bias) = bias.first() {
            operands.push(memory_of(bias)?);
            params.start(OP, 2, bias.layout.start())?;
            params = params.inner_words(OP, BIAS_STRIDE, &[bias.layout.strides()[0]])?;
        }
        let bias = if bias.is_empty() { pieces::WITHOUT_BIAS } else { pieces::WITH_BIAS };
        let kernel = &shader::LINEAR_TILE;
        // What is f16 in the file stays exact; what other weights would lose is more than sums in f32 lose.
        let halves = self.gpu.info.shader_f16 && operands[1].encoding == Encoding::F16;
        let held = if halves { pieces::HELD_F16 } else { pieces::HELD_F32 };
        let mut job = Job::threads(OP, kernel, Class::Float, &operands, out.dtype, params).piece(bias).piece(held);
        job.eights = 0b10;
        job.groups = Groups::Grid(n.div_ceil(TILE), m.div_ceil(TILE), 1);
        self.run(job, out)
    }
}
