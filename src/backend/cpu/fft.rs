//! Fourier transforms of real numbers in f32, by the crate realfft.

use super::{
    Buffer, floats,
    product::{as_f32, shorten},
    unwritten,
    walk::for_chunks,
};
use crate::{
    backend::{Meta, View},
    error::{Error, Result},
};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Remembers the plans of the lengths it has seen.
static PLANNER: LazyLock<Mutex<RealFftPlanner<f32>>> = LazyLock::new(|| Mutex::new(RealFftPlanner::new()));
/// Results of fewer elements in all are done on one thread.
const PARALLEL: usize = 16 * 1024;

fn planned<P: ?Sized>(plan: impl FnOnce(&mut RealFftPlanner<f32>) -> Arc<P>) -> Arc<P> {
    plan(&mut PLANNER.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs `f(row of x, row of the result)` for every row.
fn each_row(
    x: &View<'_>,
    out: &Meta,
    (from, to): (usize, usize),
    f: impl Fn(&[f32], &mut [f32]) + Sync,
) -> Result<Buffer> {
    let values = floats(x)?;
    let values = values.as_slice();
    let mut result = unwritten(&as_f32(out))?;
    let elements = out.shape.elements();
    // Some rows at a time, to share the space that one transform needs.
    let together = (PARALLEL / 4).div_ceil(to);
    for_chunks(result.as_slice_mut::<f32>()?, together * to, elements > PARALLEL, |i, rows| {
        let values = &values[i * together * from..];
        rows.chunks_exact_mut(to).zip(values.chunks_exact(from)).for_each(|(row, x)| f(x, row));
    });
    shorten(result, out)
}

fn failed(op: &'static str, error: impl std::fmt::Display) -> Error {
    Error::shape(op, error.to_string())
}

/// `[.., n]` → `[.., n/2 + 1, 2]`
pub(super) fn rfft(x: &View<'_>, out: &Meta) -> Result<Buffer> {
    let n = x.layout.dims().last().copied().unwrap_or(1);
    let plan: Arc<dyn RealToComplex<f32>> = planned(|planner| planner.plan_fft_forward(n));
    let trial = plan.process(&mut vec![0.0; n], &mut vec![Complex::default(); n / 2 + 1]);
    trial.map_err(|e| failed("rfft", e))?;
    each_row(x, out, (n, n + 2 - n % 2), |x, row| {
        let mut input = x.to_vec();
        let mut result = vec![Complex::default(); n / 2 + 1];
        // Sizes are right, as the trial showed.
        if plan.process(&mut input, &mut result).is_ok() {
            let pairs = row.chunks_exact_mut(2).zip(result);
            pairs.for_each(|(pair, value)| pair.copy_from_slice(&[value.re, value.im]));
        }
    })
}

/// `[.., n/2 + 1, 2]` → `[.., n]`
pub(super) fn irfft(n: usize, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    let plan: Arc<dyn ComplexToReal<f32>> = planned(|planner| planner.plan_fft_inverse(n));
    let trial = plan.process(&mut vec![Complex::default(); n / 2 + 1], &mut vec![0.0; n]);
    trial.map_err(|e| failed("irfft", e))?;
    let scale = 1.0 / n as f32;
    each_row(x, out, (n + 2 - n % 2, n), |x, row| {
        let mut input: Vec<_> = x.chunks_exact(2).map(|pair| Complex::new(pair[0], pair[1])).collect();
        // These stand for their own mirror images, so they are real; whatever else they are given as counts for nothing.
        input[0].im = 0.0;
        if n.is_multiple_of(2) {
            input[n / 2].im = 0.0;
        }
        if plan.process(&mut input, row).is_ok() {
            row.iter_mut().for_each(|v| *v *= scale);
        }
    })
}
