//! Rotary position embedding, a head at a time.

use super::{
    Buffer, floats,
    num::Wide,
    output,
    reduce::lines,
    walk::{PIECE, Source, fill},
};
use crate::{
    backend::{Meta, View},
    error::Result,
    op::RopeLayout,
};

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
    if f32::access(x.dtype).is_none() {
        return Ok(None);
    }
    let data = Source::<f32>::new(x)?;
    let (cos, sin) = (floats(cos)?, floats(sin)?);
    let rank = x.layout.dims().len();
    let (t, d, stride) = (x.layout.dims()[rank - 2], x.layout.dims()[rank - 1], x.layout.strides()[rank - 1]);
    let mut result = output(out)?;
    if out.shape.elements() == 0 {
        return Ok(Some(result));
    }
    let turns = Turns::new(layout, cos.as_slice(), sin.as_slice(), cos.shape().dims()[1]);
    let rows = result.bytes_mut().chunks_exact_mut(d * x.dtype.block_bytes());
    for (i, (row, from)) in rows.zip(lines(x.layout, rank - 1).indices()).enumerate() {
        fill(row, x.dtype, |row| {
            data.load(from, stride, row);
            turns.apply(i % t, row);
        });
    }
    Ok(Some(result))
}

/// The rotations of every position.
pub(super) struct Turns<'a> {
    layout: RopeLayout,
    cos: &'a [f32],
    sin: &'a [f32],
    /// Pairs that rotate.
    half: usize,
}

impl<'a> Turns<'a> {
    /// From tables `[positions, half]`.
    pub fn new(layout: RopeLayout, cos: &'a [f32], sin: &'a [f32], half: usize) -> Self {
        Self { layout, cos, sin, half }
    }
    /// Rotates the first `2 * half` elements of a row by a position.
    pub fn apply(&self, position: usize, row: &mut [f32]) {
        let at = position * self.half..(position + 1) * self.half;
        let turns = self.cos[at.clone()].iter().zip(&self.sin[at]);
        match self.layout {
            RopeLayout::Half => {
                let (a, b) = row.split_at_mut(self.half);
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
    }
}
