//! What stands beside and behind each other in a transformer's block, in one call each: several projections of one input,
//! with the norm before them and the gate or the residual behind; the heads of attention.

use super::{
    Buffer, floats,
    norm::rms_norm_rows,
    num::Wide,
    product::{Rows, as_f32, product_into, product_into_columns, shorten},
    rope::Turns,
    unwritten,
    walk::{PIECE, for_chunks},
};
use crate::{
    backend::{Meta, View},
    error::Result,
    op::{Binary, Gate, Heads, first_weight},
};

/// From so many elements on, what is done to each is shared among threads.
const PARALLEL: usize = 32 * PIECE;

/// The rows of the input, behind their norm if there is one, and the weights.
fn rows<'a, T>(
    norm: Option<f64>,
    inputs: &[View<'a>],
    f: impl FnOnce(&Rows<'_>, &[View<'a>]) -> Result<T>,
) -> Result<T> {
    let (x, weights) = (floats(&inputs[0])?, &inputs[first_weight(norm)..]);
    match norm {
        Some(eps) => {
            let scale = floats(&inputs[1])?;
            let mut normed = Buffer::unwritten(4 * x.as_slice().len())?;
            rms_norm_rows(eps, x.as_slice(), scale.as_slice(), normed.as_slice_mut()?);
            f(&Rows::new(normed.as_slice()?), weights)
        }
        None => f(&Rows::new(x.as_slice()), weights),
    }
}

/// The projections of each row by several weights, side by side.
pub(super) fn linears(norm: Option<f64>, inputs: &[View<'_>], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(&as_f32(out))?;
    let columns = out.shape.dims().last().copied().unwrap_or(0);
    let all = result.as_slice_mut::<f32>()?;
    let m = all.len().checked_div(columns).unwrap_or(0);
    rows(norm, inputs, |x, weights| {
        let mut first = 0;
        for w in weights.iter().filter(|_| m > 0) {
            product_into_columns(x, w, m, &mut all[first..], columns)?;
            first += w.layout.dims()[0];
        }
        Ok(())
    })?;
    shorten(result, out)
}

/// `gate(x · gᵀ) * (x · uᵀ)`
pub(super) fn gated_linears(gate: Gate, norm: Option<f64>, inputs: &[View<'_>], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(&as_f32(out))?;
    let both = result.as_slice_mut::<f32>()?;
    rows(norm, inputs, |x, weights| {
        let mut up = Buffer::unwritten(4 * both.len())?;
        product_into(x, &weights[0], both)?;
        product_into(x, &weights[1], up.as_slice_mut()?)?;
        let up = up.as_slice::<f32>()?;
        let parallel = both.len() >= PARALLEL;
        for_chunks(both, PIECE, parallel, |i, piece| {
            f32::gate(gate, piece, &up[i * PIECE..i * PIECE + piece.len()]);
        });
        Ok(())
    })?;
    shorten(result, out)
}

/// Adds a tensor to a result of its shape.
fn add(residual: &View<'_>, result: &mut Buffer) -> Result<()> {
    let residual = floats(residual)?;
    let (residual, sum) = (residual.as_slice(), result.as_slice_mut::<f32>()?);
    let parallel = sum.len() >= PARALLEL;
    for_chunks(sum, PIECE, parallel, |i, piece| {
        f32::binary(Binary::Add, piece, &residual[i * PIECE..i * PIECE + piece.len()]);
    });
    Ok(())
}

/// `residual + x · wᵀ`
pub(super) fn linear_add(inputs: &[View<'_>], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(&as_f32(out))?;
    product_into(&Rows::new(floats(&inputs[0])?.as_slice()), &inputs[1], result.as_slice_mut()?)?;
    add(&inputs[2], &mut result)?;
    shorten(result, out)
}

/// `residual + norm(x)`
pub(super) fn rms_norm_add(eps: f64, inputs: &[View<'_>], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(&as_f32(out))?;
    rms_norm_rows(eps, floats(&inputs[0])?.as_slice(), floats(&inputs[1])?.as_slice(), result.as_slice_mut()?);
    add(&inputs[2], &mut result)?;
    shorten(result, out)
}

/// The heads `[b, heads, t, d]` of rows `[b, t, heads · d]`: those of queries and keys normalised, if there are norms, and
/// rotated.
pub(super) fn heads(heads: &Heads, inputs: &[View<'_>], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(&as_f32(out))?;
    let (x, cos, sin) = (floats(&inputs[0])?, floats(&inputs[1])?, floats(&inputs[2])?);
    let norms = inputs[3..].iter().map(floats).collect::<Result<Vec<_>>>()?;
    let &[_, count, t, d] = out.shape.dims() else { return Ok(result) };
    if t * d == 0 {
        return shorten(result, out);
    }
    let (x, rotated) = (x.as_slice(), heads.queries + heads.keys);
    let turns = Turns::new(heads.layout, cos.as_slice(), sin.as_slice(), cos.shape().dims()[1]);
    let all = result.as_slice_mut::<f32>()?;
    let parallel = all.len() >= PARALLEL;
    for_chunks(all, t * d, parallel, |i, rows| {
        let (batch, head) = (i / count, i % count);
        for (at, row) in rows.chunks_exact_mut(d).enumerate() {
            let from = &x[((batch * t + at) * count + head) * d..][..d];
            match (heads.norm, &norms[..]) {
                (Some(eps), [queries, keys]) if head < rotated => {
                    let scale = if head < heads.queries { queries } else { keys };
                    rms_norm_rows(eps, from, scale.as_slice(), row);
                }
                _ => row.copy_from_slice(from),
            }
            if head < rotated {
                turns.apply(at, row);
            }
        }
    });
    shorten(result, out)
}
