//! A step of Adam over a whole parameter in one pass: its memory is read and written once.

use super::{
    Buffer, floats,
    pool::parallel,
    simd::{Loops, run_best},
    unwritten,
    walk::Shared,
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
};

/// Elements for one task.
const TASK: usize = 1 << 15;

/// The numbers of a step; see [`adam`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamStep {
    /// Factor on the value, for decoupled weight decay.
    pub shrink: f32,
    /// How much of the running means stays, and comes in.
    pub betas: [[f32; 2]; 2],
    /// Factor on the mean over its divisor.
    pub rate: f32,
    /// Factor on the root of the mean square.
    pub root: f32,
    /// Added to the divisor.
    pub eps: f32,
}

struct Elements<'a> {
    step: AdamStep,
    value: &'a [f32],
    grad: &'a [f32],
    mean: &'a [f32],
    square: &'a [f32],
    out: [&'a mut [f32]; 3],
}

impl Loops for Elements<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { step, value, grad, mean, square, out: [out_value, out_mean, out_square] } = self;
        let AdamStep { shrink, betas: [[stay1, come1], [stay2, come2]], rate, root, eps } = step;
        let inputs = value.iter().zip(grad).zip(mean).zip(square);
        let outputs = out_value.iter_mut().zip(out_mean).zip(out_square);
        for ((((value, grad), mean), square), ((out_value, out_mean), out_square)) in inputs.zip(outputs) {
            let mean = mean * stay1 + grad * come1;
            let square = square * stay2 + (grad * grad) * come2;
            *out_value = value * shrink - mean / (square.sqrt() * root + eps) * rate;
            *out_mean = mean;
            *out_square = square;
        }
    }
}

/// `[value, gradient, mean, mean square]` → the next value, mean and mean square, one after the other. `None` for dtypes other
/// than f32.
pub(crate) fn adam(step: AdamStep, inputs: &[View<'_>], out: &Meta) -> Result<Option<Buffer>> {
    let [value, grad, mean, square] = inputs else { return Ok(None) };
    if inputs.iter().any(|x| x.dtype != DType::F32) {
        return Ok(None);
    }
    let inputs = [floats(value)?, floats(grad)?, floats(mean)?, floats(square)?];
    let n = value.layout.shape().elements();
    let mut result = unwritten(out)?;
    let shared = Shared::new(result.as_slice_mut::<f32>()?);
    parallel(n.div_ceil(TASK), |i| {
        let at = i * TASK..((i + 1) * TASK).min(n);
        let [value, grad, mean, square] = inputs.each_ref().map(|x| &x.as_slice()[at.clone()]);
        // SAFETY: each task has its own elements of each of the three results.
        let out = [0, n, 2 * n].map(|start| unsafe { shared.part(start + at.start..start + at.end) });
        run_best(Elements { step, value, grad, mean, square, out });
    });
    Ok(Some(result))
}
