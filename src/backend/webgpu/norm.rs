//! Softmax, normalisation and rotary embedding.

use super::{
    WebGpuBackend,
    memory::Memory,
    memory_of,
    params::Params,
    recorder::Job,
    reduce::lines,
    shader::{self, Class, pieces},
};
use crate::{
    backend::{Meta, View},
    error::{Error, Result},
    layout::Layout,
    op::{Heads, RopeLayout},
};

/// Where `bias` in `shaders/common/with_bias.wgsl` finds its stride.
pub(super) const BIAS_STRIDE: usize = 7;

impl WebGpuBackend {
    pub(super) fn softmax(&self, log: bool, dim: usize, x: &View<'_>, out: &Meta) -> Result<Memory> {
        let op = if log { "log_softmax" } else { "softmax" };
        let params = lines(op, dim, x.layout, &Layout::contiguous(&out.shape), 0)?;
        let job = Job::threads(op, &shader::SOFTMAX, Class::Float, &[memory_of(x)?], out.dtype, params);
        self.run(job.flag("LOG", log).lines(), out)
    }

    /// RMS norm, also with a residual added, or layer norm, which centres.
    pub(super) fn norm(&self, op: &'static str, eps: f64, inputs: &[View<'_>], out: &Meta) -> Result<Memory> {
        let [x, weight, rest @ ..] = inputs else { return Err(Error::argument(op, "takes a weight")) };
        let copy;
        let last = x.layout.dims().len() - 1;
        let (dims, strides) = (x.layout.dims(), x.layout.strides());
        let rows = Layout::new(dims[..last].into(), strides[..last].to_vec(), x.layout.start());
        let mut params = Params::over(op, &[(0, &rows)])?
            .k(op, [strides[last], dims[last], weight.layout.strides()[0], 0])?
            .f([eps as f32, 0.0]);
        params.start(op, 1, weight.layout.start())?;
        let mut operands = vec![memory_of(x)?, memory_of(weight)?];
        let piece = match rest.first() {
            Some(residual) if op == "rms_norm_add" => {
                // Walked as the result is.
                let contiguous = residual.layout.contiguous_range();
                let start = match contiguous {
                    Some(range) => {
                        operands.push(memory_of(residual)?);
                        range.start
                    }
                    None => {
                        copy = self.copy(op, residual, out)?;
                        operands.push(&copy);
                        0
                    }
                };
                params.start(op, 2, start)?;
                pieces::WITH_RESIDUAL
            }
            Some(bias) => {
                operands.push(memory_of(bias)?);
                params.start(op, 2, bias.layout.start())?;
                params = params.inner_words(op, BIAS_STRIDE, &[bias.layout.strides()[0]])?;
                pieces::WITH_BIAS
            }
            None => pieces::WITHOUT_BIAS,
        };
        let job = Job::threads(op, &shader::NORM, Class::Float, &operands, out.dtype, params)
            .flag("CENTRE", op == "layer_norm")
            .piece(piece)
            .sums(1, self.gpu.info.subgroups);
        self.run(job.lines(), out)
    }

    /// Heads out of projections that lie side by side: one line for each head of each position.
    pub(super) fn heads(&self, heads: &Heads, inputs: &[View<'_>], out: &Meta) -> Result<Memory> {
        const OP: &str = "heads";
        let [x, cos, sin, norms @ ..] = inputs else { return Err(Error::argument(OP, "takes three inputs")) };
        let &[b, count, t, d] = out.shape.dims() else { return Err(Error::argument(OP, "gives four dimensions")) };
        let (c, s) = (cos.layout.strides(), sin.layout.strides());
        let own = x.layout.strides();
        let mut params = Params::new(OP, b * count * t)?
            .k(OP, [heads.queries, heads.keys, d, cos.layout.dims()[1]])?
            .inner_words(OP, 0, &[c[0], c[1], s[0], s[1], t, count])?
            .strides(OP, 0, [own[0], own[1], own[2], 0])?
            .f([heads.norm.unwrap_or(0.0) as f32, 0.0]);
        params.start(OP, 0, x.layout.start())?;
        params.start(OP, 1, cos.layout.start())?;
        params.start(OP, 2, sin.layout.start())?;
        let mut operands = vec![memory_of(x)?, memory_of(cos)?, memory_of(sin)?];
        for (i, norm) in norms.iter().enumerate() {
            operands.push(memory_of(norm)?);
            params = params.strides(OP, 2 * (2 + i), [norm.layout.start(), norm.layout.strides()[0], 0, 0])?;
        }
        let mut job = Job::threads(OP, &shader::HEADS, Class::Float, &operands, out.dtype, params)
            .flag("HALVES", heads.layout == RopeLayout::Half)
            .flag("NORM", heads.norm.is_some())
            .sums(1, self.gpu.info.subgroups)
            .piece(if norms.is_empty() { pieces::WITHOUT_HEAD_NORMS } else { pieces::WITH_HEAD_NORMS });
        job.workgroup = 64;
        self.run(job.lines(), out)
    }

    pub(super) fn rope(&self, layout: RopeLayout, inputs: &[View<'_>], out: &Meta) -> Result<Memory> {
        const OP: &str = "rope";
        let [x, cos, sin] = inputs else { return Err(Error::argument(OP, "takes three inputs")) };
        let rank = x.layout.dims().len();
        let (c, s) = (cos.layout.strides(), sin.layout.strides());
        let mut params = Params::over(OP, &[(0, x.layout)])?
            .k(OP, [x.layout.dims()[rank - 2], x.layout.dims()[rank - 1], cos.layout.dims()[1], 0])?
            .inner_words(OP, 0, &[c[0], c[1], s[0], s[1]])?;
        params.start(OP, 1, cos.layout.start())?;
        params.start(OP, 2, sin.layout.start())?;
        let operands = [memory_of(x)?, memory_of(cos)?, memory_of(sin)?];
        let job = Job::threads(OP, &shader::ROPE, Class::Float, &operands, out.dtype, params);
        self.run(job.flag("HALVES", layout == RopeLayout::Half), out)
    }
}
