//! Softmax and normalisation, a row at a time in f32.

use super::{
    Buffer, floats,
    num::Wide,
    output,
    reduce::{Accumulate, extreme, lines},
    walk::{Source, fill, for_chunks},
};
use crate::{
    backend::{Meta, View},
    error::Result,
    layout::Layout,
    op::Unary,
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
    let mut result = output(out)?;
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
#[inline]
pub(super) fn largest(x: &[f32]) -> f32 {
    extreme(x, f32::larger, f32::LOWEST)
}

/// The sum, accumulated over short pieces.
fn sum(x: &[f32]) -> f64 {
    x.chunks(1024).map(f32::sum).sum()
}

pub(super) fn softmax(dim: usize, x: &View<'_>, out: &Meta) -> Result<Option<Buffer>> {
    each_line(dim, x, out, &|line| {
        let top = largest(line);
        line.iter_mut().for_each(|v| *v -= top);
        f32::unary(Unary::Exp, line);
        let scale = (1.0 / sum(line)) as f32;
        line.iter_mut().for_each(|v| *v *= scale);
    })
}

pub(super) fn log_softmax(dim: usize, x: &View<'_>, out: &Meta) -> Result<Option<Buffer>> {
    each_line(dim, x, out, &|line| {
        let top = largest(line);
        let mut space = [0.0; 256];
        let mut total = 0.0;
        for piece in line.chunks(space.len()) {
            let e = &mut space[..piece.len()];
            e.iter_mut().zip(piece).for_each(|(e, v)| *e = v - top);
            f32::unary(Unary::Exp, e);
            total += f32::sum(e);
        }
        let log = total.ln() as f32;
        line.iter_mut().for_each(|v| *v = (*v - top) - log);
    })
}

pub(super) fn rms_norm(eps: f64, x: &View<'_>, weight: &View<'_>, out: &Meta) -> Result<Option<Buffer>> {
    let weight = floats(weight)?;
    let weight = weight.as_slice();
    each_line(x.layout.dims().len() - 1, x, out, &|line| {
        let scale = 1.0 / (sum_of_squares(line) / line.len() as f64 + eps).sqrt();
        let scale = scale as f32;
        line.iter_mut().zip(weight).for_each(|(v, w)| *v = *v * scale * w);
    })
}

fn sum_of_squares(x: &[f32]) -> f64 {
    let piece = |x: &[f32]| {
        let mut lanes = [0.0f32; 16];
        let chunks = x.chunks_exact(16);
        let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v * v);
        }
        f64::from(rest) + lanes.iter().map(|&v| f64::from(v)).sum::<f64>()
    };
    x.chunks(1024).map(piece).sum()
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
        let mean = (sum(line) / line.len() as f64) as f32;
        line.iter_mut().for_each(|v| *v -= mean);
        let scale = (1.0 / (sum_of_squares(line) / line.len() as f64 + eps).sqrt()) as f32;
        line.iter_mut().zip(weight).for_each(|(v, w)| *v = *v * scale * w);
        if let Some(bias) = bias {
            line.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
        }
    })
}
