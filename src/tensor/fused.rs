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
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0]], &Device::cpu())?;
    /// let weight = Tensor::new([[1f32, 0.0], [0.0, 1.0], [1.0, 1.0]], &Device::cpu())?;
    /// let bias = Tensor::new([10f32, 20.0, 30.0], &Device::cpu())?;
    /// assert_eq!(x.linear(&weight, Some(&bias))?.to_vec_sync::<f32>()?, [11.0, 22.0, 33.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        match bias {
            Some(bias) => Self::apply(Op::Linear, &[self, weight, bias]),
            None => Self::apply(Op::Linear, &[self, weight]),
        }
    }
    /// Rows of `table [n, d]` (any float or block dtype) at these integer ids, as `dtype`: `[..ids, d]`.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let table = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let ids = Tensor::new([1u32, 0, 1], &Device::cpu())?;
    /// assert_eq!(ids.embedding(&table, DType::F32)?.to_vec_sync::<f32>()?, [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn embedding(&self, table: &Tensor, dtype: DType) -> Result<Tensor> {
        Self::apply(Op::Embedding { dtype }, &[self, table])
    }
    /// `e^x / sum(e^x)` along `dim`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 3.0], &Device::cpu())?;
    /// let expected = Tensor::new([0.09003057f32, 0.24472847, 0.66524096], &Device::cpu())?;
    /// assert!(x.softmax(0)?.allclose_sync(&expected, 1e-6, 1e-6, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn softmax(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::Softmax { dim: self.shape().dim("softmax", dim)? }, &[self])
    }
    /// The logarithm of [`Tensor::softmax`].
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 3.0], &Device::cpu())?;
    /// let expected = Tensor::new([-2.407606f32, -1.407606, -0.407606], &Device::cpu())?;
    /// assert!(x.log_softmax(0)?.allclose_sync(&expected, 1e-6, 1e-6, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn log_softmax(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::LogSoftmax { dim: self.shape().dim("log_softmax", dim)? }, &[self])
    }
    /// `x / sqrt(mean(x²) + eps) * weight` over the last dimension; `weight [d]` of any float dtype.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 7.0], &Device::cpu())?;
    /// let weight = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let expected = Tensor::new([0.2f32, 2.8], &Device::cpu())?;
    /// assert!(x.rms_norm(&weight, 1e-9)?.allclose_sync(&expected, 1e-6, 1e-6, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn rms_norm(&self, weight: &Tensor, eps: f64) -> Result<Tensor> {
        Self::apply(Op::RmsNorm { eps }, &[self, weight])
    }
    /// `(x - mean) / sqrt(variance + eps) * weight + bias` over the last dimension.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 3.0], &Device::cpu())?;
    /// let weight = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let expected = Tensor::new([-1f32, 2.0], &Device::cpu())?;
    /// assert!(x.layer_norm(&weight, None, 1e-9)?.allclose_sync(&expected, 1e-6, 1e-6, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn layer_norm(&self, weight: &Tensor, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
        match bias {
            Some(bias) => Self::apply(Op::LayerNorm { eps }, &[self, weight, bias]),
            None => Self::apply(Op::LayerNorm { eps }, &[self, weight]),
        }
    }
    /// Rotary embedding of x `[.., t, d]` by `cos` and `sin [t, r/2]`; elements from `r` on stay as they are.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// use votive::op::RopeLayout;
    /// let x = Tensor::new([[1f32, 2.0, 3.0, 4.0]], &Device::cpu())?;
    /// // A quarter turn of each pair.
    /// let (cos, sin) = (Tensor::new([[0f32, 0.0]], &Device::cpu())?, Tensor::new([[1f32, 1.0]], &Device::cpu())?);
    /// assert_eq!(x.rope(&cos, &sin, RopeLayout::Interleaved)?.to_vec_sync::<f32>()?, [-2.0, 1.0, -4.0, 3.0]);
    /// assert_eq!(x.rope(&cos, &sin, RopeLayout::Half)?.to_vec_sync::<f32>()?, [-3.0, -4.0, 1.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn rope(&self, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
        Self::apply(Op::Rope { layout }, &[self, cos, sin])
    }
    /// Attention of queries `[b, h, t, d]` to `k [b, g, s, d]` and `v [b, g, s, e]`, with an additive `mask` that
    /// broadcasts to `[b, h, t, s]`; gives `[b, h, t, e]`. A query that sees no key gives zeros.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// use votive::tensor::AttentionOptions;
    /// let q = Tensor::new([[[[1f32], [1.0]]]], &Device::cpu())?;
    /// let k = Tensor::new([[[[0f32], [0.0]]]], &Device::cpu())?;
    /// let v = Tensor::new([[[[2f32], [4.0]]]], &Device::cpu())?;
    /// let options = AttentionOptions { scale: 1.0, causal: true, window: None, softcap: None };
    /// // The first query sees the first value, the second the mean of both.
    /// assert_eq!(q.attention(&k, &v, None, options)?.to_vec_sync::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// use votive::op::Gate;
    /// let x = Tensor::new([-1f32, 2.0], &Device::cpu())?;
    /// let y = Tensor::new([3f32, 4.0], &Device::cpu())?;
    /// assert_eq!(x.gated(Gate::Relu, &y)?.to_vec_sync::<f32>()?, [0.0, 8.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn gated(&self, gate: Gate, other: &Tensor) -> Result<Tensor> {
        Self::apply(Op::Gated(gate), &[self, other])
    }
}
