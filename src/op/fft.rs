//! The discrete Fourier transform of real numbers, and its inverse; complex numbers are pairs in a last dimension of 2.

use super::{Backward, Input, Op, fused::computed, gradient::InputGradients, want_float};
use crate::{
    backend::Meta,
    error::{Error, Result},
    tensor::Tensor,
};
use std::f64::consts::TAU;

/// `[.., n]` → `[.., n/2 + 1, 2]`
pub(super) fn infer_rfft(inputs: &[Input<'_>]) -> Result<Meta> {
    let (x, dtype) = inputs[0];
    want_float("rfft", dtype)?;
    let mut dims = x.dims().to_vec();
    match dims.last_mut() {
        Some(n) if *n > 0 => *n = *n / 2 + 1,
        _ => return Err(Error::shape("rfft", format!("{} has no elements to transform", x.shape()))),
    }
    dims.push(2);
    Ok(Meta { shape: dims.into(), dtype })
}

/// `[.., n/2 + 1, 2]` → `[.., n]`
pub(super) fn infer_irfft(n: usize, inputs: &[Input<'_>]) -> Result<Meta> {
    let (x, dtype) = inputs[0];
    want_float("irfft", dtype)?;
    match x.dims() {
        [outer @ .., f, 2] if n > 0 && *f == n / 2 + 1 => {
            let mut dims = outer.to_vec();
            dims.push(n);
            Ok(Meta { shape: dims.into(), dtype })
        }
        _ => {
            let message = format!("{} should be [.., {}, 2] for {n} numbers", x.shape(), n / 2 + 1);
            Err(Error::shape("irfft", message))
        }
    }
}

/// `[rows, columns]` by a function of both, in the dtype of `like`.
fn table(like: &Tensor, rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Result<Tensor> {
    let values: Vec<f64> = (0..rows * columns).map(|i| f(i / columns, i % columns)).collect();
    like.values_like(&values, [rows, columns])
}

/// The angle of frequency `k` at time `t` of `n`.
fn angle(k: usize, t: usize, n: usize) -> f64 {
    TAU * (k as u128 * t as u128 % n as u128) as f64 / n as f64
}

/// How often frequency `k` counts: those between 0 and n/2 stand for their mirror images too.
fn weight(k: usize, n: usize) -> f64 {
    if k == 0 || 2 * k == n { 1.0 } else { 2.0 }
}

/// A product with the matrix of cosines and sines.
pub(super) fn decompose_rfft(x: &Tensor) -> Result<Tensor> {
    let n = x.dims()[x.rank() - 1];
    let (mut dims, f) = (x.dims().to_vec(), n / 2 + 1);
    dims.pop();
    dims.extend([f, 2]);
    computed(x, |x| {
        let part =
            |t: usize, j: usize| if j.is_multiple_of(2) { angle(j / 2, t, n).cos() } else { -angle(j / 2, t, n).sin() };
        x.matmul(&table(x, n, 2 * f, part)?)?.reshape(dims)
    })
}

/// As [`decompose_rfft`], the other way.
pub(super) fn decompose_irfft(n: usize, x: &Tensor) -> Result<Tensor> {
    computed(x, |x| {
        let part = |j: usize, t: usize| {
            let (k, scale) = (j / 2, weight(j / 2, n) / n as f64);
            // the imaginary parts at 0 and n/2 stand for nothing
            if j.is_multiple_of(2) {
                scale * angle(k, t, n).cos()
            } else if weight(k, n) == 1.0 {
                0.0
            } else {
                -scale * angle(k, t, n).sin()
            }
        };
        x.flatten(-2, -1)?.matmul(&table(x, (n / 2 + 1) * 2, n, part)?)
    })
}

/// Each is the transpose of the other but for the factors of the frequencies.
pub(super) fn gradient(op: &Op, at: &Backward<'_>) -> InputGradients {
    let scaled = |grad: &Tensor, n: usize, f: &dyn Fn(usize) -> f64| {
        let scale = table(grad, n / 2 + 1, 1, |k, _| f(k))?;
        grad.mul(&scale)
    };
    let to_x = || match op {
        Op::Irfft { n } => {
            let grad = Tensor::apply(Op::Rfft, &[at.grad])?;
            scaled(&grad, *n, &|k| weight(k, *n) / *n as f64)
        }
        _ => {
            let n = at.inputs[0].dims()[at.inputs[0].rank() - 1];
            let grad = scaled(at.grad, n, &|k| n as f64 / weight(k, n))?;
            Tensor::apply(Op::Irfft { n }, &[&grad])
        }
    };
    Ok(vec![at.needed(0, to_x)?])
}
