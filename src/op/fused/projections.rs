//! Several products with weights in one operation, with what stands before and behind them in a transformer: the norm of
//! the input, the gated activation, the residual.

use super::{linear, norm};
use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Gate, Input, want_same},
    tensor::Tensor,
};

/// The weights among the inputs, behind `x` and, if there is one, the norm's weight.
pub(crate) fn first_weight(norm: Option<f64>) -> usize {
    1 + usize::from(norm.is_some())
}

fn check_norm(name: &'static str, norm: Option<f64>, inputs: &[Input<'_>]) -> Result<()> {
    if norm.is_some() { norm::infer(name, &inputs[..2]).map(|_| ()) } else { Ok(()) }
}

pub(in crate::op) fn infer_linears(norm: Option<f64>, inputs: &[Input<'_>]) -> Result<Meta> {
    check_norm("linears", norm, inputs)?;
    let first = first_weight(norm);
    if inputs.len() <= first {
        return Err(Error::argument("linears", "no weights given"));
    }
    let mut columns = 0;
    let mut found = None;
    for &weight in &inputs[first..] {
        let one = linear::infer_linear(&[inputs[0], weight])?;
        columns += one.shape.dims()[one.shape.rank() - 1];
        found = Some(one);
    }
    let mut dims = found.as_ref().map_or_else(Vec::new, |meta| meta.shape.dims().to_vec());
    if let Some(last) = dims.last_mut() {
        *last = columns;
    }
    Ok(Meta { shape: dims.into(), dtype: inputs[0].1 })
}

pub(in crate::op) fn infer_gated_linears(norm: Option<f64>, inputs: &[Input<'_>]) -> Result<Meta> {
    let name = "gated_linears";
    check_norm(name, norm, inputs)?;
    let &[.., gate, up] = inputs else { return Err(Error::argument(name, "takes two weights")) };
    if inputs.len() != first_weight(norm) + 2 {
        return Err(Error::argument(name, format!("{} inputs given, takes {}", inputs.len(), first_weight(norm) + 2)));
    }
    if gate.0.shape() != up.0.shape() {
        return Err(Error::shapes(name, gate.0.shape(), up.0.shape(), "the weights of gate and value differ in shape"));
    }
    linear::infer_linear(&[inputs[0], up])?;
    linear::infer_linear(&[inputs[0], gate])
}

pub(in crate::op) fn infer_linear_add(inputs: &[Input<'_>]) -> Result<Meta> {
    let (residual, dtype) = inputs[2];
    let meta = linear::infer_linear(&inputs[..2])?;
    want_same("linear_add", meta.dtype, dtype)?;
    if residual.shape() != &meta.shape {
        let why = "the residual should have the shape of the product";
        return Err(Error::shapes("linear_add", &meta.shape, residual.shape(), why));
    }
    Ok(meta)
}

/// The input behind its norm, and the weights.
fn normed<'a>(norm: Option<f64>, inputs: &'a [&'a Tensor]) -> Result<(Tensor, &'a [&'a Tensor])> {
    let x = match norm {
        Some(eps) => inputs[0].rms_norm(inputs[1], eps)?,
        None => inputs[0].clone(),
    };
    Ok((x, &inputs[first_weight(norm)..]))
}

pub(in crate::op) fn decompose_linears(norm: Option<f64>, inputs: &[&Tensor]) -> Result<Tensor> {
    let (x, weights) = normed(norm, inputs)?;
    let parts = weights.iter().map(|w| x.linear(w, None)).collect::<Result<Vec<_>>>()?;
    match &parts[..] {
        [one] => Ok(one.clone()),
        parts => Tensor::cat(&parts.iter().collect::<Vec<_>>(), -1),
    }
}

pub(in crate::op) fn decompose_gated_linears(gate: Gate, norm: Option<f64>, inputs: &[&Tensor]) -> Result<Tensor> {
    let (x, weights) = normed(norm, inputs)?;
    let [g, u] = weights else { return Err(Error::argument("gated_linears", "takes two weights")) };
    x.linear(g, None)?.gated(gate, &x.linear(u, None)?)
}

pub(in crate::op) fn decompose_linear_add(x: &Tensor, w: &Tensor, residual: &Tensor) -> Result<Tensor> {
    residual.add(&x.linear(w, None)?)
}
