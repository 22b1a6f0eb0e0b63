//! Rotary position embedding, a head at a time.

use super::{
    Buffer, floats,
    num::Num,
    output,
    reduce::lines,
    typed,
    walk::{PIECE, fill, load},
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
    op::RopeLayout,
};
use half::{bf16, f16};

/// `None` for f64, which this would shorten, and for rows longer than its buffer.
pub(super) fn rope(
    layout: RopeLayout,
    x: &View<'_>,
    cos: &View<'_>,
    sin: &View<'_>,
    out: &Meta,
) -> Result<Option<Buffer>> {
    if x.layout.dims().last().is_none_or(|&d| d > PIECE) {
        return Ok(None);
    }
    match x.dtype {
        DType::F32 => rope_typed::<f32>(layout, x, cos, sin, out).map(Some),
        DType::F16 => rope_typed::<f16>(layout, x, cos, sin, out).map(Some),
        DType::BF16 => rope_typed::<bf16>(layout, x, cos, sin, out).map(Some),
        _ => Ok(None),
    }
}

fn rope_typed<T: Num<Wide = f32>>(
    layout: RopeLayout,
    x: &View<'_>,
    cos: &View<'_>,
    sin: &View<'_>,
    out: &Meta,
) -> Result<Buffer> {
    let data = typed::<T>(x)?;
    let (cos, sin) = (floats(cos)?, floats(sin)?);
    let rank = x.layout.dims().len();
    let (t, d, stride) = (x.layout.dims()[rank - 2], x.layout.dims()[rank - 1], x.layout.strides()[rank - 1]);
    let mut result = output(out)?;
    if out.shape.elements() == 0 {
        return Ok(result);
    }
    let half = cos.shape().dims()[1];
    let rows = result.as_slice_mut::<T>()?.chunks_exact_mut(d);
    for (i, (row, from)) in rows.zip(lines(x.layout, rank - 1).indices()).enumerate() {
        let at = i % t * half..(i % t + 1) * half;
        let turns = cos.as_slice()[at.clone()].iter().zip(&sin.as_slice()[at]);
        fill(row, |row| {
            load(data, from, stride, row);
            match layout {
                RopeLayout::Half => {
                    let (a, b) = row.split_at_mut(half);
                    for ((a, b), (cos, sin)) in a.iter_mut().zip(b).zip(turns) {
                        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                    }
                }
                RopeLayout::Interleaved => {
                    for (pair, (cos, sin)) in row.chunks_exact_mut(2).zip(turns) {
                        let (a, b) = (pair[0], pair[1]);
                        (pair[0], pair[1]) = (a * cos - b * sin, b * cos + a * sin);
                    }
                }
            }
        });
    }
    Ok(result)
}
