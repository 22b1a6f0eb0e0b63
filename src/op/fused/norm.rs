//! Normalisation over the last dimension.

use super::{compute_dtype, computed};
use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Backward, Input, gradient::InputGradients, want_float, want_same},
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

pub(in crate::op) fn infer_add(inputs: &[Input<'_>]) -> Result<Meta> {
    let name = "rms_norm_add";
    let meta = infer(name, &inputs[..2])?;
    let (residual, dtype) = inputs[2];
    want_same(name, meta.dtype, dtype)?;
    if residual.shape() != &meta.shape {
        return Err(Error::shapes(name, &meta.shape, residual.shape(), "the residual should have x's shape"));
    }
    Ok(meta)
}

pub(in crate::op) fn decompose_rms(eps: f64, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    computed(x, |x| {
        let scale = x.sqr()?.mean_keepdim(-1)?.add_scalar(eps)?.rsqrt()?;
        x.mul(&scale)?.mul(&weight.to_dtype(x.dtype())?)
    })
}

pub(in crate::op) fn decompose_add(eps: f64, x: &Tensor, weight: &Tensor, residual: &Tensor) -> Result<Tensor> {
    residual.add(&x.rms_norm(weight, eps)?)
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

/// With `n` the normalised input, `s` its scale and `h = g w`: `dx = s (h - mean(h) - n mean(h n))`, `dw = sum(g n)`,
/// `db = sum(g)`, the sums being over rows. RMS norm does not centre, and its `dx` has no `mean(h)`.
pub(in crate::op) fn gradient(centre: bool, eps: f64, at: &Backward<'_>) -> InputGradients {
    let (input, weight) = (&at.inputs[0], &at.inputs[1]);
    let wide = compute_dtype(input.dtype());
    let (x, g) = (input.to_dtype(wide)?, at.grad.to_dtype(wide)?);
    let centred = if centre { x.sub(&x.mean_keepdim(-1)?)? } else { x };
    let scale = centred.sqr()?.mean_keepdim(-1)?.add_scalar(eps)?.rsqrt()?;
    let n = centred.mul(&scale)?;
    let rows = |t: &Tensor, like: &Tensor| -> Result<Tensor> {
        let d = like.elements();
        t.reshape([input.dims()[..input.rank() - 1].iter().product(), d])?.sum(0)?.to_dtype(like.dtype())
    };
    let to_input = || {
        let h = g.mul(&weight.to_dtype(wide)?)?;
        let mut found = h.sub(&n.mul(&h.mul(&n)?.mean_keepdim(-1)?)?)?;
        if centre {
            found = found.sub(&h.mean_keepdim(-1)?)?;
        }
        found.mul(&scale)?.to_dtype(input.dtype())
    };
    let mut gradients = vec![at.needed(0, to_input)?, at.needed(1, || rows(&g.mul(&n)?, weight))?];
    if let Some(bias) = at.inputs.get(2) {
        gradients.push(at.needed(2, || rows(&g, bias))?);
    }
    Ok(gradients)
}
