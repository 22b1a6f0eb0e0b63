//! Softmax and its logarithm.

use super::{compute_dtype, computed};
use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Backward, Input, gradient::InputGradients, want_float},
    tensor::Tensor,
};

pub(in crate::op) fn infer(name: &'static str, dim: usize, inputs: &[Input<'_>]) -> Result<Meta> {
    let (x, dtype) = inputs[0];
    want_float(name, dtype)?;
    if dim >= x.dims().len() {
        return Err(Error::argument(name, format!("dimension {dim} is out of range for shape {}", x.shape())));
    }
    Ok(Meta { shape: x.shape().clone(), dtype })
}

pub(in crate::op) fn decompose(dim: usize, x: &Tensor) -> Result<Tensor> {
    if x.elements() == 0 {
        return Ok(x.clone());
    }
    let dim = dim as isize;
    computed(x, |x| {
        let e = x.sub(&x.max_keepdim(dim)?)?.exp()?;
        e.div(&e.sum_keepdim(dim)?)
    })
}

pub(in crate::op) fn decompose_log(dim: usize, x: &Tensor) -> Result<Tensor> {
    if x.elements() == 0 {
        return Ok(x.clone());
    }
    let dim = dim as isize;
    computed(x, |x| {
        let shifted = x.sub(&x.max_keepdim(dim)?)?;
        shifted.sub(&shifted.exp()?.sum_keepdim(dim)?.log()?)
    })
}

/// `y (g - sum(g y))` of the softmax, `g - e^y sum(g)` of its logarithm.
pub(in crate::op) fn gradient(log: bool, dim: usize, at: &Backward<'_>) -> InputGradients {
    let wide = compute_dtype(at.grad.dtype());
    let (y, g, dim) = (at.output.to_dtype(wide)?, at.grad.to_dtype(wide)?, dim as isize);
    let found = if log {
        g.sub(&y.exp()?.mul(&g.sum_keepdim(dim)?)?)?
    } else {
        let weighted = g.mul(&y)?;
        weighted.sub(&y.mul(&weighted.sum_keepdim(dim)?)?)?
    };
    Ok(vec![Some(found.to_dtype(at.inputs[0].dtype())?)])
}
