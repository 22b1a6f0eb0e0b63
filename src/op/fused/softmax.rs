//! Softmax and its logarithm.

use super::computed;
use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Input, want_float},
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
