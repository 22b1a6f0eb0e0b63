//! Normalisation over the last dimension.

use super::computed;
use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Input, want_float},
    tensor::Tensor,
};

pub(in crate::op) fn infer(name: &'static str, inputs: &[Input<'_>]) -> Result<Meta> {
    let (x, dtype) = inputs[0];
    let Some(&d) = x.dims().last() else {
        return Err(Error::shape(name, "a scalar has no last dimension to normalise over"));
    };
    for (parameter, parameter_dtype) in &inputs[1..] {
        want_float(name, *parameter_dtype)?;
        if parameter.dims() != [d] {
            return Err(Error::shapes(name, x.shape(), parameter.shape(), format!("the parameter should be [{d}]")));
        }
    }
    want_float(name, dtype)?;
    Ok(Meta { shape: x.shape().clone(), dtype })
}

pub(in crate::op) fn decompose_rms(eps: f64, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    computed(x, |x| {
        let scale = x.sqr()?.mean_keepdim(-1)?.add_scalar(eps)?.rsqrt()?;
        x.mul(&scale)?.mul(&weight.to_dtype(x.dtype())?)
    })
}

pub(in crate::op) fn decompose_layer(eps: f64, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    computed(x, |x| {
        let centred = x.sub(&x.mean_keepdim(-1)?)?;
        let scale = centred.sqr()?.mean_keepdim(-1)?.add_scalar(eps)?.rsqrt()?;
        let scaled = centred.mul(&scale)?.mul(&weight.to_dtype(x.dtype())?)?;
        match bias {
            Some(bias) => scaled.add(&bias.to_dtype(x.dtype())?),
            None => Ok(scaled),
        }
    })
}
