//! Softmax and normalisation, a row at a time in f32.

use super::{
    Buffer, floats,
    num::{Num, Wide},
    output,
    reduce::{Accumulate, extreme, lines},
    typed,
    walk::{for_chunks, load},
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
    layout::Layout,
    op::Unary,
};
use half::{bf16, f16};

/// Rows of fewer elements in all are done on one thread.
const PARALLEL: usize = 32 * 1024;

/// What is done to one line, in place.
type OnLine<'a> = &'a (dyn Fn(&mut [f32]) + Sync);

/// Runs `f` on each line along `dim` of `x`, brought into f32. `None` for f64, which that would shorten.
fn each_line(dim: usize, x: &View<'_>, out: &Meta, f: OnLine<'_>) -> Result<Option<Buffer>> {
    match x.dtype {
        DType::F32 => each_typed::<f32>(dim, x, out, f).map(Some),
        DType::F16 => each_typed::<f16>(dim, x, out, f).map(Some),
        DType::BF16 => each_typed::<bf16>(dim, x, out, f).map(Some),
        _ => Ok(None),
    }
}

fn each_typed<T: Num<Wide = f32>>(dim: usize, x: &View<'_>, out: &Meta, f: OnLine<'_>) -> Result<Buffer> {
    let data = typed::<T>(x)?;
    let (size, stride) = (x.layout.dims()[dim], x.layout.strides()[dim]);
    let mut result = output(out)?;
    let elements = out.shape.elements();
    if elements == 0 {
        return Ok(result);
    }
    let whole = Layout::contiguous(&out.shape);
    let to = whole.strides()[dim];
    let values = result.as_slice_mut::<T>()?;
    if to == 1
        && let Some(values) = T::as_wide_mut(values)
    {
        let starts: Vec<_> = lines(x.layout, dim).indices().collect();
        for_chunks(values, size, elements > PARALLEL, |i, line| {
            load(data, starts[i], stride, line);
            f(line);
        });
        return Ok(result);
    }
    let mut space = vec![0.0; size];
    for (from, at) in lines(x.layout, dim).indices().zip(lines(&whole, dim).indices()) {
        load(data, from, stride, &mut space);
        f(&mut space);
        space.iter().enumerate().for_each(|(i, &v)| values[at + i * to] = T::shorten(v));
    }
    Ok(result)
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
