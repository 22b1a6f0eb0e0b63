//! Gated activations (Shazeer 2020, "GLU variants improve transformer").

use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Gate, Input, want_float, want_same},
    tensor::Tensor,
};

pub(in crate::op) fn infer(inputs: &[Input<'_>]) -> Result<Meta> {
    let ((a, a_dtype), (b, b_dtype)) = (inputs[0], inputs[1]);
    want_float("gated", a_dtype)?;
    want_same("gated", a_dtype, b_dtype)?;
    if a.shape() != b.shape() {
        return Err(Error::shapes("gated", a.shape(), b.shape(), "shapes differ"));
    }
    Ok(Meta { shape: a.shape().clone(), dtype: a_dtype })
}

pub(in crate::op) fn decompose(gate: Gate, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let activated = match gate {
        Gate::Silu => a.silu(),
        Gate::Gelu => a.gelu(),
        Gate::GeluTanh => a.gelu_tanh(),
        Gate::Relu => a.relu(),
    }?;
    activated.mul(b)
}
