//! Gated activations (Shazeer 2020, "GLU variants improve transformer").

use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{
        Backward, Gate, Input, Op, Unary, elementwise::unary_gradient, gradient::InputGradients, want_float, want_same,
    },
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

fn activation(gate: Gate) -> Unary {
    match gate {
        Gate::Silu => Unary::Silu,
        Gate::Gelu => Unary::Gelu,
        Gate::GeluTanh => Unary::GeluTanh,
        Gate::Relu => Unary::Relu,
    }
}

fn activated(gate: Gate, a: &Tensor) -> Result<Tensor> {
    Tensor::apply(Op::Unary(activation(gate)), &[a])
}

pub(in crate::op) fn decompose(gate: Gate, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    activated(gate, a)?.mul(b)
}

pub(in crate::op) fn gradient(gate: Gate, at: &Backward<'_>) -> InputGradients {
    let (a, b) = (&at.inputs[0], &at.inputs[1]);
    Ok(vec![
        at.needed(0, || unary_gradient(activation(gate), a, None, &at.grad.mul(b)?))?,
        at.needed(1, || activated(gate, a)?.mul(at.grad))?,
    ])
}
