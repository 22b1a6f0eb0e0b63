//! Matrix products, and linear layers: of few rows (`rows.rs`) and of many (`tiles.rs`).

use super::{
    WebGpuBackend,
    memory::Memory,
    memory_of,
    params::Params,
    recorder::{Groups, Job},
    rows::{Finish, Products},
    shader::{self, Class},
};
use crate::{
    backend::{Meta, View},
    error::{Error, Result},
    layout::Layout,
};

/// Rows and columns of the results of one workgroup.
pub(super) const TILE: usize = 64;

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
        match self.products(products, out)? {
            Some(found) => Ok(found),
            None if out.shape.elements() == 0 => self.fresh(OP, out.dtype, 0),
            None => Err(Error::argument(OP, "takes a matrix of weights")),
        }
    }
}
