//! Rotary position embedding (Su et al. 2021) of the first `r` of `d` elements.

use super::computed;
use crate::{
    backend::Meta,
    error::{Error, Result},
    op::{Backward, Input, RopeLayout, gradient::InputGradients, want_float},
    tensor::Tensor,
};

pub(in crate::op) fn infer(inputs: &[Input<'_>]) -> Result<Meta> {
    let ((x, dtype), (cos, cos_dtype), (sin, sin_dtype)) = (inputs[0], inputs[1], inputs[2]);
    for dtype in [dtype, cos_dtype, sin_dtype] {
        want_float("rope", dtype)?;
    }
    if cos.shape() != sin.shape() {
        return Err(Error::shapes("rope", cos.shape(), sin.shape(), "cos and sin differ in shape"));
    }
    let (&[.., t, d], &[tc, half]) = (x.dims(), cos.dims()) else {
        let why = "x should be [.., t, d], cos and sin [t, r/2]";
        return Err(Error::shapes("rope", x.shape(), cos.shape(), why));
    };
    if t != tc || half.checked_mul(2).is_none_or(|r| r > d) {
        let why = format!("cos and sin should be [{t}, r/2] with r at most {d}");
        return Err(Error::shapes("rope", x.shape(), cos.shape(), why));
    }
    Ok(Meta { shape: x.shape().clone(), dtype })
}

pub(in crate::op) fn decompose(layout: RopeLayout, x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (half, d) = (cos.dims()[1], x.dims()[x.rank() - 1]);
    let rotated = computed(x, |x| {
        let (cos, sin) = (cos.to_dtype(x.dtype())?, sin.to_dtype(x.dtype())?);
        let head = x.narrow(-1, 0, 2 * half)?;
        let turn = |a: &Tensor, b: &Tensor| -> Result<(Tensor, Tensor)> {
            let first = a.mul(&cos)?.sub(&b.mul(&sin)?)?;
            Ok((first, b.mul(&cos)?.add(&a.mul(&sin)?)?))
        };
        match layout {
            RopeLayout::Half => {
                let (a, b) = turn(&head.narrow(-1, 0, half)?, &head.narrow(-1, half, half)?)?;
                Tensor::cat(&[&a, &b], -1)
            }
            RopeLayout::Interleaved => {
                let mut pairs = head.dims().to_vec();
                pairs.pop();
                pairs.extend([half, 2]);
                let pairs = head.reshape(pairs)?;
                let (a, b) = turn(&pairs.narrow(-1, 0, 1)?.squeeze(-1)?, &pairs.narrow(-1, 1, 1)?.squeeze(-1)?)?;
                Tensor::stack(&[&a, &b], -1)?.reshape(head.shape())
            }
        }
    })?;
    if 2 * half == d {
        return Ok(rotated);
    }
    Tensor::cat(&[&rotated, &x.narrow(-1, 2 * half, d - 2 * half)?], -1)
}

/// Turned back by the same angles. Trained angles (rare) take the decomposition's gradient: `None`.
pub(in crate::op) fn gradient(layout: RopeLayout, at: &Backward<'_>) -> Option<InputGradients> {
    let [_, cos, sin] = at.inputs else { return None };
    let back = || at.grad.rope(cos, &sin.neg()?, layout);
    let only_x = at.needs[1..].iter().all(|needed| !needed);
    only_x.then(|| Ok(vec![at.needed(0, back)?, None, None]))
}
