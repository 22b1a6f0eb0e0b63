//! Operations defined outside the crate: forward, decomposition and backward are each optional.

use std::sync::Arc;
use votive::{
    DType, Device, Error, Layout, Result, Tensor,
    autograd::{GradOptions, grad},
    backend::{Meta, View, cpu::Buffer},
    op::{Backward, CustomOp},
};

/// `a * b²` of f32 or f64, with what is switched on.
#[derive(Clone, Copy, Debug, Default)]
struct Scaled {
    kernel: bool,
    decomposition: bool,
    rule: bool,
    /// Elements that the kernel leaves out, as a wrong one would.
    missing: usize,
}

fn product(inputs: &[&Tensor]) -> Result<Tensor> {
    inputs[0].mul(&inputs[1].sqr()?)
}

impl CustomOp for Scaled {
    fn name(&self) -> &'static str {
        "scaled"
    }
    fn infer(&self, inputs: &[(&Layout, DType)]) -> Result<Meta> {
        match inputs {
            [(a, dtype), (b, other)] if a.shape() == b.shape() && dtype == other => {
                Ok(Meta { shape: a.shape().clone(), dtype: *dtype })
            }
            _ => Err(Error::argument(self.name(), "takes two tensors of one shape and dtype")),
        }
    }
    fn cpu(&self, inputs: &[View<'_>], out: &Meta) -> Result<Option<Buffer>> {
        if !self.kernel || out.dtype != DType::F32 {
            return Ok(None);
        }
        let pairs = inputs[0].values::<f32>()?.zip(inputs[1].values::<f32>()?);
        let y: Vec<f32> = pairs.skip(self.missing).map(|(a, b)| a * b * b).collect();
        Buffer::from_slice(&y).map(Some)
    }
    fn decompose(&self, inputs: &[&Tensor]) -> Option<Result<Tensor>> {
        self.decomposition.then(|| product(inputs))
    }
    fn backward(&self, at: &Backward<'_>) -> Option<Result<Vec<Option<Tensor>>>> {
        let (a, b) = (&at.inputs[0], &at.inputs[1]);
        let to_a = || at.grad.mul(&b.sqr()?);
        let to_b = || at.grad.mul(a)?.mul(b)?.mul_scalar(2.0);
        self.rule.then(|| Ok(vec![at.needed(0, to_a)?, at.needed(1, to_b)?]))
    }
}

fn inputs() -> Result<(Tensor, Tensor)> {
    let device = Device::cpu();
    let a = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    // Another layout than the kernel's result.
    let b = Tensor::new([[0.5f32, -1.0], [2.0, 3.0], [-2.0, 1.5]], &device)?.t()?;
    Ok((a, b))
}

fn run(op: Scaled, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Tensor::custom(Arc::new(op), &[a, b])
}

const RESULT: [f32; 6] = [0.25, 8.0, 12.0, 4.0, 45.0, 13.5];

#[test]
fn runs_by_its_kernel_or_its_decomposition() -> Result<()> {
    let (a, b) = inputs()?;
    for (kernel, decomposition) in [(true, false), (false, true), (true, true)] {
        let op = Scaled { kernel, decomposition, ..Scaled::default() };
        assert_eq!(run(op, &a, &b)?.to_vec_sync::<f32>()?, RESULT);
    }
    let error = run(Scaled::default(), &a, &b).unwrap_err().to_string();
    assert!(error.contains("scaled") && error.contains("no kernel"), "{error}");
    let error = run(Scaled { kernel: true, ..Scaled::default() }, &a, &a.t()?).unwrap_err().to_string();
    assert!(error.contains("scaled: takes two"), "{error}");
    Ok(())
}

#[test]
fn a_result_of_the_wrong_size_is_an_error() -> Result<()> {
    let (a, b) = inputs()?;
    let error = run(Scaled { kernel: true, missing: 1, ..Scaled::default() }, &a, &b).unwrap_err().to_string();
    assert!(error.contains("20 bytes for a f32 tensor of shape [2, 3]"), "{error}");
    Ok(())
}

#[test]
fn gradients_by_its_rule_or_its_decomposition() -> Result<()> {
    let (a, b) = inputs()?;
    let (a, b) = (a.requires_grad(), b.requires_grad());
    let want = product(&[&a, &b])?.sum(..)?.backward()?;
    for (kernel, decomposition, rule) in [(true, false, true), (true, true, false), (false, true, true)] {
        let op = Scaled { kernel, decomposition, rule, missing: 0 };
        let gradients = run(op, &a, &b)?.sum(..)?.backward()?;
        for x in [&a, &b] {
            let [found, want] = [&gradients, &want].map(|g| g.get(x).unwrap().to_vec_sync::<f32>());
            assert_eq!(found?, want?, "{op:?}");
        }
    }
    Ok(())
}

#[test]
fn second_derivatives_too() -> Result<()> {
    let (a, b) = inputs()?;
    let b = b.requires_grad();
    for (decomposition, rule) in [(false, true), (true, false)] {
        let y = run(Scaled { kernel: true, decomposition, rule, missing: 0 }, &a, &b)?.sum(..)?;
        let options = GradOptions { create_graph: true, ..GradOptions::default() };
        let first = grad(&[&y], &[&b], options)?.remove(0).unwrap().sum(..)?;
        let second = first.backward()?;
        assert_eq!(second.get(&b).unwrap().to_vec_sync::<f32>()?, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
    }
    Ok(())
}

#[test]
fn without_a_gradient_it_says_so_when_reached() -> Result<()> {
    let (a, b) = inputs()?;
    let a = a.requires_grad();
    let y = run(Scaled { kernel: true, ..Scaled::default() }, &a, &b)?;
    assert!(y.is_tracked());
    let error = y.sum(..)?.backward().unwrap_err().to_string();
    assert!(error.contains("scaled") && error.contains("no gradient"), "{error}");
    // Nothing asks for it here.
    assert_eq!(a.sqr()?.sum(..)?.backward()?.len(), 1);
    Ok(())
}
