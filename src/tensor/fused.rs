//! Layers in one operation each: linear, embedding, softmax, norms, rope, attention, gated activations.

use super::Tensor;
use crate::{
    dtype::DType,
    error::Result,
    op::{Gate, Op, RopeLayout},
};

/// How [`Tensor::attention`] scores and masks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionOptions {
    /// Factor on the scores, usually `1/sqrt(d)`.
    pub scale: f32,
    /// Query `i` of `t` sees keys up to `s - t + i` of `s`.
    pub causal: bool,
    /// Of those, only the last so many.
    pub window: Option<usize>,
    /// `cap * tanh(score / cap)` before masking.
    pub softcap: Option<f32>,
}

#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// `x · wᵀ + bias`: x `[.., k]`, `w [n, k]` of any float or block dtype, `bias [n]`; the result has x's dtype.
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        match bias {
            Some(bias) => Self::apply(Op::Linear, &[self, weight, bias]),
            None => Self::apply(Op::Linear, &[self, weight]),
        }
    }
    /// Rows of `table [n, d]` (any float or block dtype) at these integer ids, as `dtype`: `[..ids, d]`.
    pub fn embedding(&self, table: &Tensor, dtype: DType) -> Result<Tensor> {
        Self::apply(Op::Embedding { dtype }, &[self, table])
    }
    /// `e^x / sum(e^x)` along `dim`.
    pub fn softmax(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::Softmax { dim: self.shape().dim("softmax", dim)? }, &[self])
    }
    /// The logarithm of [`Tensor::softmax`].
    pub fn log_softmax(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::LogSoftmax { dim: self.shape().dim("log_softmax", dim)? }, &[self])
    }
    /// `x / sqrt(mean(x²) + eps) * weight` over the last dimension; `weight [d]` of any float dtype.
    pub fn rms_norm(&self, weight: &Tensor, eps: f64) -> Result<Tensor> {
        Self::apply(Op::RmsNorm { eps }, &[self, weight])
    }
    /// `(x - mean) / sqrt(variance + eps) * weight + bias` over the last dimension.
    pub fn layer_norm(&self, weight: &Tensor, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
        match bias {
            Some(bias) => Self::apply(Op::LayerNorm { eps }, &[self, weight, bias]),
            None => Self::apply(Op::LayerNorm { eps }, &[self, weight]),
        }
    }
    /// Rotary embedding of x `[.., t, d]` by `cos` and `sin [t, r/2]`; elements from `r` on stay as they are.
    pub fn rope(&self, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
        Self::apply(Op::Rope { layout }, &[self, cos, sin])
    }
    /// Attention of queries `[b, h, t, d]` to `k [b, g, s, d]` and `v [b, g, s, e]`, with an additive `mask` that
    /// broadcasts to `[b, h, t, s]`; gives `[b, h, t, e]`. A query that sees no key gives zeros.
    pub fn attention(
        &self,
        k: &Tensor,
        v: &Tensor,
        mask: Option<&Tensor>,
        options: AttentionOptions,
    ) -> Result<Tensor> {
        let AttentionOptions { scale, causal, window, softcap } = options;
        let op = Op::Attention { scale, causal, window, softcap };
        match mask {
            Some(mask) => Self::apply(op, &[self, k, v, mask]),
            None => Self::apply(op, &[self, k, v]),
        }
    }
    /// `gate(self) * other`, as in gated feed-forward layers.
    pub fn gated(&self, gate: Gate, other: &Tensor) -> Result<Tensor> {
        Self::apply(Op::Gated(gate), &[self, other])
    }
}
