//! Scaled dot-product attention with grouped queries, causal and sliding masks, and score capping.

use super::compute_dtype;
use crate::{
    autograd::sum_to,
    backend::Meta,
    error::{Error, Result},
    op::{Backward, Input, gradient::InputGradients, want_float, want_same},
    shape::Shape,
    tensor::Tensor,
};
use std::ops::Range;

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

/// Queries `rows` of `t` and the keys `keys` of `s` that any of them sees.
struct Block {
    rows: Range<usize>,
    keys: Range<usize>,
}

impl Block {
    fn new(rows: Range<usize>, (t, s): (usize, usize), causal: bool, window: Option<usize>) -> Self {
        let keys = match rows.end {
            0 => 0..s,
            end => visible(rows.start, t, s, causal, window).0..visible(end - 1, t, s, causal, window).1,
        };
        Self { keys: keys.start.min(keys.end)..keys.end, rows }
    }
    /// The queries' part of `x [b, h, t, ..]`, with those that share a key head as rows of one matrix.
    fn queries(&self, x: &Tensor, groups: usize) -> Result<Tensor> {
        let (b, h, _, d) = x.dims4()?;
        x.narrow(2, self.rows.start, self.rows.len())?.reshape([b, groups, h / groups * self.rows.len(), d])
    }
    fn keys(&self, x: &Tensor) -> Result<Tensor> {
        x.narrow(2, self.keys.start, self.keys.len())
    }
    /// Zero where the query sees the key, minus infinity elsewhere.
    fn hidden(&self, (t, s): (usize, usize), causal: bool, window: Option<usize>, like: &Tensor) -> Result<Tensor> {
        let len = self.keys.len();
        let mut hidden = vec![f32::NEG_INFINITY; self.rows.len() * len];
        for (row, i) in hidden.chunks_exact_mut(len.max(1)).zip(self.rows.clone()) {
            let (start, end) = visible(i, t, s, causal, window);
            row[start - self.keys.start..end.max(start) - self.keys.start].fill(0.0);
        }
        Tensor::from_slice(&hidden, [self.rows.len(), len], like.device())?.to_dtype(like.dtype())
    }
}

/// Scores of a block, capped: `[b, g, h/g * rows, keys]`.
fn scores(q: &Tensor, k: &Tensor, scale: f32, softcap: Option<f32>) -> Result<Tensor> {
    let scores = q.matmul(&k.transpose(2, 3)?)?.mul_scalar(f64::from(scale))?;
    match softcap.map(f64::from) {
        Some(cap) => scores.mul_scalar(1.0 / cap)?.tanh()?.mul_scalar(cap),
        None => Ok(scores),
    }
}

/// Softmax over the last dimension, zeros where all is minus infinity.
fn weights(scores: &Tensor) -> Result<Tensor> {
    // The floors keep a row without visible keys at zero instead of 0/0.
    let top = scores.max_keepdim(-1)?.detach().clamp(f64::from(f32::MIN), f64::INFINITY)?;
    let p = scores.sub(&top)?.exp()?;
    p.div(&p.sum_keepdim(-1)?.clamp(f64::from(f32::MIN_POSITIVE), f64::INFINITY)?)
}

pub(in crate::op) fn decompose(
    (scale, causal, window, softcap): Parameters,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let ((b, h, t, _), (_, g, s, e)) = (q.dims4()?, v.dims4()?);
    if s == 0 {
        return Tensor::zeros([b, h, t, e], q.dtype(), q.device());
    }
    let dtype = compute_dtype(q.dtype());
    let whole = Block { rows: 0..t, keys: 0..s };
    let (queries, k) = (whole.queries(&q.to_dtype(dtype)?, g)?, k.to_dtype(dtype)?);
    let mut scores = scores(&queries, &k, scale, softcap)?.reshape([b, h, t, s])?;
    if causal || window.is_some() {
        scores = scores.add(&whole.hidden((t, s), causal, window, &scores)?)?;
    }
    if let Some(mask) = mask {
        scores = scores.add(&mask.to_dtype(dtype)?)?;
    }
    let out = weights(&scores)?.reshape([b, g, h / g * t, s])?.matmul(&v.to_dtype(dtype)?)?;
    out.reshape([b, h, t, e])?.to_dtype(q.dtype())
}

/// Elements of the scores that the gradient holds at once.
const BLOCK: usize = 1 << 20;

/// Gradients to queries, keys, values and mask. Scores are computed anew, some rows of queries at a time, so that memory
/// does not grow with `t * s` (as in Dao et al. 2022, "FlashAttention"); keys that a block does not see are left out.
pub(in crate::op) fn gradient(parameters: Parameters, at: &Backward<'_>) -> InputGradients {
    let ((b, h, _, _), s) = (at.inputs[0].dims4()?, at.inputs[1].dim(2)?);
    gradient_by(parameters, at, BLOCK / (b * h * s).max(1))
}

fn gradient_by((scale, causal, window, softcap): Parameters, at: &Backward<'_>, rows_at_once: usize) -> InputGradients {
    let (q, k, v) = (&at.inputs[0], &at.inputs[1], &at.inputs[2]);
    let mask = at.inputs.get(3);
    let ((b, h, t, d), (_, g, s, e)) = (q.dims4()?, v.dims4()?);
    let dtype = compute_dtype(q.dtype());
    let [wide_q, wide_k, wide_v, grad] = [q, k, v, at.grad].map(|x| x.to_dtype(dtype));
    let (wide_q, wide_k, wide_v, grad) = (wide_q?, wide_k?, wide_v?, grad?);
    let mask_scores = mask.map(|m| m.to_dtype(dtype)?.broadcast_to([b, h, t, s])).transpose()?;
    let zeros = |shape: [usize; 4]| Tensor::zeros(shape, dtype, q.device());
    let (mut dq, mut dk, mut dv) = (Vec::new(), zeros([b, g, s, d])?, zeros([b, g, s, e])?);
    let mut dmask = if at.needs.get(3) == Some(&true) { Some(zeros([b, h, t, s])?) } else { None };
    let mut start = 0;
    while start < t {
        let rows = start..t.min(start + rows_at_once.max(1));
        start = rows.end;
        let block = Block::new(rows, (t, s), causal, window);
        let (n, len) = (block.rows.len(), block.keys.len());
        if len == 0 {
            dq.push(zeros([b, h, n, d])?);
            continue;
        }
        let (queries, grad) = (block.queries(&wide_q, g)?, block.queries(&grad, g)?);
        let (keys, values) = (block.keys(&wide_k)?, block.keys(&wide_v)?);
        let capped = scores(&queries, &keys, scale, softcap)?;
        let mut seen = capped.reshape([b, h, n, len])?;
        if causal || window.is_some() {
            seen = seen.add(&block.hidden((t, s), causal, window, &seen)?)?;
        }
        if let Some(mask) = &mask_scores {
            let rows = mask.narrow(2, block.rows.start, n)?;
            seen = seen.add(&rows.narrow(3, block.keys.start, len)?)?;
        }
        let p = weights(&seen)?.reshape([b, g, h / g * n, len])?;
        // dP = dO Vᵀ, dS = P (dP - sum(dP P)).
        let weighted = grad.matmul(&values.transpose(2, 3)?)?.mul(&p)?;
        let mut ds = weighted.sub(&p.mul(&weighted.sum_keepdim(-1)?)?)?;
        if let Some(all) = dmask {
            let part = ds.reshape([b, h, n, len])?;
            dmask = Some(add_at(all, block.rows.start, block.keys.start, &part)?);
        }
        if let Some(cap) = softcap {
            ds = ds.mul(&capped.mul_scalar(1.0 / f64::from(cap))?.sqr()?.affine(-1.0, 1.0)?)?;
        }
        ds = ds.mul_scalar(f64::from(scale))?;
        dq.push(ds.matmul(&keys)?.reshape([b, h, n, d])?);
        if at.needs[1] {
            dk = add_at(dk, block.keys.start, 0, &ds.transpose(2, 3)?.matmul(&queries)?)?;
        }
        if at.needs[2] {
            dv = add_at(dv, block.keys.start, 0, &p.transpose(2, 3)?.matmul(&grad)?)?;
        }
    }
    let whole_q = || match &dq[..] {
        [] => q.zeros_like(),
        parts => Tensor::cat(&parts.iter().collect::<Vec<_>>(), 2)?.to_dtype(q.dtype()),
    };
    let mut gradients = vec![
        at.needed(0, whole_q)?,
        at.needed(1, || dk.to_dtype(k.dtype()))?,
        at.needed(2, || dv.to_dtype(v.dtype()))?,
    ];
    if let Some(mask) = mask {
        let gradient = dmask.map(|all| sum_to(&all, mask.shape())?.to_dtype(mask.dtype()));
        gradients.push(gradient.transpose()?);
    }
    Ok(gradients)
}

/// `x` with `part` added at `row` and `column` of its last two dimensions.
fn add_at(x: Tensor, row: usize, column: usize, part: &Tensor) -> Result<Tensor> {
    if part.shape() == x.shape() {
        return x.add(part);
    }
    let (_, _, rows, columns) = part.dims4()?;
    // Views of `x` end before it is written, so that it is written in place.
    let band = {
        let band = x.narrow(2, row, rows)?;
        let sum = band.narrow(3, column, columns)?.add(part)?;
        if sum.shape() == band.shape() { sum } else { band.write_slice(3, column, &sum)? }
    };
    x.write_slice(2, row, &band)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn wave(shape: [usize; 4], seed: f64) -> Result<Tensor> {
        let n = shape.iter().product::<usize>() as f64;
        let x = Tensor::arange(0.0, n, crate::DType::F64, &Device::cpu())?;
        x.affine(0.37 + seed, seed)?.sin()?.reshape(shape)
    }

    /// In blocks of two rows of queries, against the gradient of the decomposition.
    #[test]
    fn blocks_give_the_gradient_of_the_decomposition() -> Result<()> {
        let all: [Parameters; 4] = [
            (0.3, false, None, None),
            (0.3, true, None, Some(1.5)),
            (0.3, true, Some(3), None),
            (0.3, false, Some(3), Some(2.0)),
        ];
        for (parameters, (t, s)) in all.into_iter().flat_map(|p| [(p, (7, 9)), (p, (7, 4))]) {
            let shapes = [[2, 4, t, 3], [2, 2, s, 3], [2, 2, s, 5], [1, 4, t, s]];
            let inputs: Vec<_> = shapes.iter().zip(1..).map(|(&x, i)| wave(x, f64::from(i))).collect::<Result<_>>()?;
            let leaves: Vec<_> = inputs.iter().map(Tensor::requires_grad).collect();
            let grad = wave([2, 4, t, 5], 9.0)?;
            let [q, k, v, mask] = &leaves[..] else { unreachable!() };
            let output = decompose(parameters, q, k, v, Some(mask))?;
            let want = output.backward_with(&grad)?;
            let at = Backward { inputs: &inputs, output: &output, grad: &grad, needs: &[true; 4] };
            let found = gradient_by(parameters, &at, 2)?;
            for (i, (leaf, found)) in leaves.iter().zip(found).enumerate() {
                let difference = want.get(leaf).unwrap().sub(&found.unwrap())?.abs()?.max(..)?;
                // Sums of f64 in another order.
                let difference = difference.to_vec_sync::<f64>()?[0];
                assert!(difference < 1e-13, "{parameters:?}, {t} x {s}, input {i}: {difference}");
            }
        }
        Ok(())
    }
}
