//! Softmax and normalisation, a row at a time in f32.

use super::{
    Buffer, floats,
    math::single::exp,
    num::Wide,
    reduce::{Accumulate, extreme, lines},
    simd::{Loops, run_best},
    unwritten,
    walk::{Source, fill, for_chunks},
};
use crate::{
    backend::{Meta, View},
    error::Result,
    layout::Layout,
};

/// Rows of fewer elements in all are done on one thread.
const PARALLEL: usize = 32 * 1024;

/// What is done to one line, in place.
type OnLine<'a> = &'a (dyn Fn(&mut [f32]) + Sync);

/// Runs `f` on each line along `dim` of `x`, brought into f32. `None` for f64, which that would shorten.
fn each_line(dim: usize, x: &View<'_>, out: &Meta, f: OnLine<'_>) -> Result<Option<Buffer>> {
    let Some((_, store)) = f32::access(x.dtype) else { return Ok(None) };
    let data = Source::<f32>::new(x)?;
    let (size, stride) = (x.layout.dims()[dim], x.layout.strides()[dim]);
    let mut result = unwritten(out)?;
    let elements = out.shape.elements();
    if elements == 0 {
        return Ok(Some(result));
    }
    let whole = Layout::contiguous(&out.shape);
    let to = whole.strides()[dim];
    let starts: Vec<_> = lines(x.layout, dim).indices().collect();
    if to == 1 {
        let bytes = size * x.dtype.block_bytes();
        for_chunks(result.bytes_mut(), bytes, elements > PARALLEL, |i, line| {
            fill(line, x.dtype, |line| {
                data.load(starts[i], stride, line);
                f(line);
            });
        });
        return Ok(Some(result));
    }
    let (mut space, mut values) = (vec![0.0; size], vec![0.0; elements]);
    for (from, at) in starts.into_iter().zip(lines(&whole, dim).indices()) {
        data.load(from, stride, &mut space);
        f(&mut space);
        space.iter().enumerate().for_each(|(i, &v)| values[at + i * to] = v);
    }
    store(&values, result.bytes_mut());
    Ok(Some(result))
}

/// The largest element, NaN if there is one.
#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    extreme(x, f32::larger, f32::LOWEST)
}

/// The sum, accumulated over short pieces.
#[inline(always)]
fn sum(x: &[f32]) -> f64 {
    x.chunks(1024).map(f32::sum).sum()
}

#[inline(always)]
fn sum_of_squares(x: &[f32]) -> f64 {
    let mut total = 0.0;
    for x in x.chunks(1024) {
        let mut lanes = [0.0f32; 16];
        let chunks = x.chunks_exact(16);
        let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v * v);
        }
        total += f64::from(rest) + lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
    }
    total
}

/// One line, in place.
struct Softmax<'a>(&'a mut [f32]);

impl Loops for Softmax<'_> {
    #[inline(always)]
    fn run(self) {
        let line = self.0;
        let top = largest(line);
        line.iter_mut().for_each(|v| *v = exp(*v - top));
        let scale = (1.0 / sum(line)) as f32;
        line.iter_mut().for_each(|v| *v *= scale);
    }
}

pub(super) fn softmax(dim: usize, x: &View<'_>, out: &Meta) -> Result<Option<Buffer>> {
    each_line(dim, x, out, &|line| run_best(Softmax(line)))
}

/// One line, in place.
struct LogSoftmax<'a>(&'a mut [f32]);

impl Loops for LogSoftmax<'_> {
    #[inline(always)]
    fn run(self) {
        let line = self.0;
        let top = largest(line);
        let mut space = [0.0; 256];
        let mut total = 0.0;
        for piece in line.chunks(space.len()) {
            let e = &mut space[..piece.len()];
            e.iter_mut().zip(piece).for_each(|(e, v)| *e = exp(v - top));
            total += f32::sum(e);
        }
        let log = total.ln() as f32;
        line.iter_mut().for_each(|v| *v = (*v - top) - log);
    }
}

pub(super) fn log_softmax(dim: usize, x: &View<'_>, out: &Meta) -> Result<Option<Buffer>> {
    each_line(dim, x, out, &|line| run_best(LogSoftmax(line)))
}

/// One line, in place: `(x - mean) * scale * weight + bias`, the mean only where it is wanted.
struct Norm<'a> {
    line: &'a mut [f32],
    centred: bool,
    eps: f64,
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl Loops for Norm<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { line, centred, eps, weight, bias } = self;
        let count = line.len() as f64;
        if centred {
            let mean = (sum(line) / count) as f32;
            line.iter_mut().for_each(|v| *v -= mean);
        }
        let scale = (1.0 / (sum_of_squares(line) / count + eps).sqrt()) as f32;
        match bias {
            Some(bias) => {
                line.iter_mut().zip(weight).zip(bias).for_each(|((v, w), b)| *v = *v * scale * w + b);
            }
            None => line.iter_mut().zip(weight).for_each(|(v, w)| *v = *v * scale * w),
        }
    }
}

pub(super) fn rms_norm(eps: f64, x: &View<'_>, weight: &View<'_>, out: &Meta) -> Result<Option<Buffer>> {
    let weight = floats(weight)?;
    let weight = weight.as_slice();
    each_line(x.layout.dims().len() - 1, x, out, &|line| {
        run_best(Norm { line, centred: false, eps, weight, bias: None });
    })
}

/// RMS norm of each row of `x`, rows as long as `weight`, into `out`.
pub(super) fn rms_norm_rows(eps: f64, x: &[f32], weight: &[f32], out: &mut [f32]) {
    out.copy_from_slice(x);
    for_chunks(out, weight.len(), x.len() > PARALLEL, |_, line| {
        run_best(Norm { line, centred: false, eps, weight, bias: None });
    });
}

pub(super) fn layer_norm(
    eps: f64,
    x: &View<'_>,
    weight: &View<'_>,
    bias: Option<&View<'_>>,
    out: &Meta,
) -> Result<Option<Buffer>> {
    let weight = floats(weight)?;
    let bias = bias.map(floats).transpose()?;
    let (weight, bias) = (weight.as_slice(), bias.as_ref().map(|b| b.as_slice()));
    each_line(x.layout.dims().len() - 1, x, out, &|line| {
        run_best(Norm { line, centred: true, eps, weight, bias });
    })
}
