//! The matrix product of two batches.

use super::{Backward, Input, gradient::InputGradients, want_same};
use crate::{
    backend::Meta,
    error::{Error, Result},
};

/// `[.., m, k] x [.., k, n]` → `[.., m, n]`; batch dimensions must be equal here (the tensor API broadcasts them).
pub(super) fn infer(inputs: &[Input<'_>]) -> Result<Meta> {
    let ((a, a_dtype), (b, b_dtype)) = (inputs[0], inputs[1]);
    want_same("matmul", a_dtype, b_dtype)?;
    let (a, b) = (a.shape(), b.shape());
    let ([a_batch @ .., m, ka], [b_batch @ .., kb, n]) = (a.dims(), b.dims()) else {
        return Err(Error::shapes("matmul", a, b, "both need at least two dimensions"));
    };
    if ka != kb {
        return Err(Error::shapes("matmul", a, b, format!("inner dimensions {ka} and {kb} differ")));
    }
    if a_batch != b_batch {
        let why = format!("batch dimensions {a_batch:?} and {b_batch:?} differ");
        return Err(Error::shapes("matmul", a, b, why));
    }
    let mut dims = a_batch.to_vec();
    dims.extend([*m, *n]);
    Ok(Meta { shape: dims.into(), dtype: a_dtype })
}

/// `dA = dC · Bᵀ`, `dB = Aᵀ · dC`.
pub(super) fn gradient(at: &Backward<'_>) -> InputGradients {
    let [a, b] = at.inputs else { return Err(Error::argument("matmul", "has two inputs")) };
    Ok(vec![
        at.needed(0, || at.grad.matmul(&b.transpose(-1, -2)?))?,
        at.needed(1, || a.transpose(-1, -2)?.matmul(at.grad))?,
    ])
}
