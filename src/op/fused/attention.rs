//! Scaled dot-product attention with grouped queries, causal and sliding masks, and score capping.

use super::compute_dtype;
use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Input, want_float, want_same},
    shape::Shape,
    tensor::Tensor,
};

pub(in crate::op) fn infer(inputs: &[Input<'_>]) -> Result<Meta> {
    let ((q, dtype), (k, k_dtype), (v, v_dtype)) = (inputs[0], inputs[1], inputs[2]);
    want_float("attention", dtype)?;
    want_float("attention", k_dtype)?;
    want_same("attention", k_dtype, v_dtype)?;
    let fail = |why: &str| {
        let message = format!("q {}, k {}, v {}: {why}", q.shape(), k.shape(), v.shape());
        Err(Error::shape("attention", message))
    };
    let (&[b, h, t, d], &[kb, g, s, kd], &[vb, vg, vs, e]) = (q.dims(), k.dims(), v.dims()) else {
        return fail("each needs four dimensions: [b, h, t, d], [b, g, s, d], [b, g, s, e]");
    };
    if (b, b) != (kb, vb) {
        return fail("batch sizes differ");
    }
    if d == 0 {
        return fail("heads have no elements");
    }
    if d != kd {
        return fail(&format!("head sizes {d} and {kd} of q and k differ"));
    }
    if (g, s) != (vg, vs) {
        return fail("k and v differ in heads or length");
    }
    if g == 0 || !h.is_multiple_of(g) {
        return fail(&format!("{h} query heads are no multiple of {g} key heads"));
    }
    let shape = Shape::from([b, h, t, e]);
    if let Some((mask, mask_dtype)) = inputs.get(3) {
        want_float("attention", *mask_dtype)?;
        let scores = Shape::from([b, h, t, s]);
        if mask.broadcast_to(&scores).is_err() {
            return fail(&format!("mask {} does not broadcast to the scores {scores}", mask.shape()));
        }
    }
    Ok(Meta { shape, dtype })
}

/// Which of `s` keys each of `t` queries sees, as the range of the first key and one past the last.
pub(crate) fn visible(i: usize, t: usize, s: usize, causal: bool, window: Option<usize>) -> (usize, usize) {
    let end = if causal { (s + i + 1).saturating_sub(t) } else { s };
    (window.map_or(0, |w| end.saturating_sub(w)), end)
}

type Parameters = (f32, bool, Option<usize>, Option<f32>);

pub(in crate::op) fn decompose(
    (scale, causal, window, softcap): Parameters,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let ((b, h, t, d), (_, g, s, e)) = (q.dims4()?, v.dims4()?);
    let dtype = compute_dtype(q.dtype());
    // Queries that share a key head become rows of one matrix.
    let grouped = q.to_dtype(dtype)?.reshape([b, g, h / g * t, d])?;
    let mut scores = grouped.matmul(&k.to_dtype(dtype)?.transpose(2, 3)?)?.mul_scalar(f64::from(scale))?;
    if let Some(cap) = softcap {
        scores = scores.mul_scalar(1.0 / f64::from(cap))?.tanh()?.mul_scalar(f64::from(cap))?;
    }
    scores = scores.reshape([b, h, t, s])?;
    if causal || window.is_some() {
        let mut hidden = vec![f32::NEG_INFINITY; t * s];
        for i in 0..t {
            let (start, end) = visible(i, t, s, causal, window);
            hidden[i * s + start..i * s + end].fill(0.0);
        }
        let hidden = Tensor::from_slice(&hidden, [t, s], q.device())?;
        scores = scores.add(&hidden.to_dtype(dtype)?)?;
    }
    if let Some(mask) = mask {
        scores = scores.add(&mask.to_dtype(dtype)?)?;
    }
    if s == 0 {
        return Tensor::zeros([b, h, t, e], q.dtype(), q.device());
    }
    // The floors keep a row without visible keys at zero instead of 0/0.
    let top = scores.max_keepdim(-1)?.clamp(f64::from(f32::MIN), f64::INFINITY)?;
    let p = scores.sub(&top)?.exp()?;
    let total = p.sum_keepdim(-1)?.clamp(f64::from(f32::MIN_POSITIVE), f64::INFINITY)?;
    let out = p.div(&total)?.reshape([b, g, h / g * t, s])?.matmul(&v.to_dtype(dtype)?)?;
    out.reshape([b, h, t, e])?.to_dtype(q.dtype())
}
