//! Transformer encoders and decoders, with PyTorch's names of weights.

use super::{
    Activation, AttentionMask, Dropout, LayerNorm, Linear, Module, MultiHeadAttention, MultiHeadAttentionOptions,
    Weights,
};
use crate::{error::Result, tensor::Tensor};

/// How transformer layers are built; the defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformerOptions {
    /// Heads of attention.
    pub heads: usize,
    /// Size of the feed-forward part.
    pub feedforward: usize,
    /// Dropped while training.
    pub dropout: f64,
    /// Between the feed-forward part's layers.
    pub activation: Activation,
    /// Added to the variance in norms.
    pub eps: f64,
    /// Sequences are `[batch, time, size]` rather than `[time, batch, size]`.
    pub batch_first: bool,
    /// Normalises what goes into each part rather than what comes out.
    pub norm_first: bool,
}

impl Default for TransformerOptions {
    fn default() -> Self {
        Self {
            heads: 8,
            feedforward: 2048,
            dropout: 0.1,
            activation: Activation::Relu,
            eps: 1e-5,
            batch_first: false,
            norm_first: false,
        }
    }
}

/// What is the same in encoder and decoder layers: the feed-forward part and the order of norms.
#[derive(Clone)]
struct Block {
    linear1: Linear,
    linear2: Linear,
    activation: Activation,
    dropout: Dropout,
    norm_first: bool,
}

impl Block {
    async fn load(weights: &Weights, size: usize, options: &TransformerOptions) -> Result<Self> {
        Ok(Self {
            linear1: Linear::load(&weights.pp("linear1"), size, options.feedforward, true).await?,
            linear2: Linear::load(&weights.pp("linear2"), options.feedforward, size, true).await?,
            activation: options.activation,
            dropout: Dropout::new(options.dropout)?,
            norm_first: options.norm_first,
        })
    }
    fn feedforward(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        let inner = self.activation.forward_t(&self.linear1.forward(x)?, training)?;
        self.linear2.forward(&self.dropout.forward_t(&inner, training)?)
    }
    /// Adds to the residual stream what `part` makes of it, with the norm before or after.
    fn residual(
        &self,
        x: &Tensor,
        norm: &LayerNorm,
        training: bool,
        part: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if self.norm_first {
            return x.add(&self.dropout.forward_t(&part(&norm.forward(x)?)?, training)?);
        }
        norm.forward(&x.add(&self.dropout.forward_t(&part(x)?, training)?)?)
    }
}

async fn attention(
    weights: &Weights,
    name: &str,
    size: usize,
    options: &TransformerOptions,
) -> Result<MultiHeadAttention> {
    let TransformerOptions { heads, dropout, batch_first, .. } = *options;
    let options = MultiHeadAttentionOptions { dropout, batch_first, ..MultiHeadAttentionOptions::default() };
    MultiHeadAttention::load(&weights.pp(name), size, heads, options).await
}

async fn norm(weights: &Weights, name: &str, size: usize, eps: f64) -> Result<LayerNorm> {
    LayerNorm::load(&weights.pp(name), size, eps, true).await
}

/// Self-attention and a feed-forward part (Vaswani et al. 2017). Weights: `self_attn`, `linear1`, `linear2`, `norm1`, `norm2`.
#[derive(Clone)]
pub struct TransformerEncoderLayer {
    block: Block,
    attention: MultiHeadAttention,
    norms: [LayerNorm; 2],
}

impl TransformerEncoderLayer {
    /// Finds the weights under the prefix of `weights`, or makes them as PyTorch does; `size` is that of the sequence's
    /// elements.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub async fn load(weights: &Weights, size: usize, options: &TransformerOptions) -> Result<Self> {
        let attention = attention(weights, "self_attn", size, options).await?;
        let block = Block::load(weights, size, options).await?;
        let eps = options.eps;
        let norms = [norm(weights, "norm1", size, eps).await?, norm(weights, "norm2", size, eps).await?];
        Ok(Self { block, attention, norms })
    }
    /// A sequence to one of the same shape.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(&self, x: &Tensor, mask: AttentionMask<'_>, training: bool) -> Result<Tensor> {
        let block = &self.block;
        let attend = |x: &Tensor| self.attention.forward_t(x, x, x, mask, training);
        let x = block.residual(x, &self.norms[0], training, attend)?;
        block.residual(&x, &self.norms[1], training, |x| block.feedforward(x, training))
    }
}

/// A stack of [`TransformerEncoderLayer`]s. Weights: `layers.0`, `layers.1`, … and `norm`, if there is one.
///
/// ```
/// use votive::{DType, Device, Tensor};
/// use votive::nn::{AttentionMask, Parameters, TransformerEncoder, TransformerOptions, Weights};
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let options = TransformerOptions { heads: 2, feedforward: 32, batch_first: true, ..Default::default() };
/// let weights = Weights::from_parameters(&parameters, &cpu);
/// let encoder = votive::block_on(TransformerEncoder::load(&weights, 16, 2, &options, false))?;
/// let x = Tensor::zeros([3, 5, 16], DType::F32, &cpu)?;
/// assert_eq!(encoder.forward(&x, AttentionMask::default())?.dims(), x.dims());
/// assert!(parameters.get("layers.1.self_attn.in_proj_weight").is_some());
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct TransformerEncoder {
    layers: Vec<TransformerEncoderLayer>,
    norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// Finds the weights of so many layers under the prefix of `weights`, and of a norm at the end if asked for.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub async fn load(
        weights: &Weights,
        size: usize,
        layers: usize,
        options: &TransformerOptions,
        final_norm: bool,
    ) -> Result<Self> {
        let mut stack = Vec::with_capacity(layers);
        for i in 0..layers {
            let weights = weights.pp(&format!("layers.{i}"));
            stack.push(TransformerEncoderLayer::load(&weights, size, options).await?);
        }
        let norm = if final_norm { Some(norm(weights, "norm", size, options.eps).await?) } else { None };
        Ok(Self { layers: stack, norm })
    }
    /// A sequence to one of the same shape.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, mask: AttentionMask<'_>) -> Result<Tensor> {
        self.forward_t(x, mask, false)
    }
    /// [`TransformerEncoder::forward`], with dropout when `training`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(&self, x: &Tensor, mask: AttentionMask<'_>, training: bool) -> Result<Tensor> {
        let x = self.layers.iter().try_fold(x.clone(), |x, layer| layer.forward_t(&x, mask, training))?;
        self.norm.as_ref().map_or(Ok(x.clone()), |norm| norm.forward(&x))
    }
}

/// Self-attention, attention to an encoder's result, and a feed-forward part. Weights: `self_attn`, `multihead_attn`, `linear1`,
/// `linear2`, `norm1`, `norm2`, `norm3`.
#[derive(Clone)]
pub struct TransformerDecoderLayer {
    block: Block,
    attention: MultiHeadAttention,
    cross: MultiHeadAttention,
    norms: [LayerNorm; 3],
}

impl TransformerDecoderLayer {
    /// Finds the weights under the prefix of `weights`, or makes them as PyTorch does.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub async fn load(weights: &Weights, size: usize, options: &TransformerOptions) -> Result<Self> {
        let own = attention(weights, "self_attn", size, options).await?;
        let cross = attention(weights, "multihead_attn", size, options).await?;
        let block = Block::load(weights, size, options).await?;
        let eps = options.eps;
        let norms = [
            norm(weights, "norm1", size, eps).await?,
            norm(weights, "norm2", size, eps).await?,
            norm(weights, "norm3", size, eps).await?,
        ];
        Ok(Self { block, attention: own, cross, norms })
    }
    /// A sequence and an encoder's result (`memory`) to a sequence of the same shape; each attention has a mask of its own.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(
        &self,
        x: &Tensor,
        memory: &Tensor,
        mask: AttentionMask<'_>,
        memory_mask: AttentionMask<'_>,
        training: bool,
    ) -> Result<Tensor> {
        let block = &self.block;
        let attend = |x: &Tensor| self.attention.forward_t(x, x, x, mask, training);
        let x = block.residual(x, &self.norms[0], training, attend)?;
        let read = |x: &Tensor| self.cross.forward_t(x, memory, memory, memory_mask, training);
        let x = block.residual(&x, &self.norms[1], training, read)?;
        block.residual(&x, &self.norms[2], training, |x| block.feedforward(x, training))
    }
}

/// A stack of [`TransformerDecoderLayer`]s. Weights: `layers.0`, `layers.1`, … and `norm`, if there is one.
///
/// ```
/// use votive::{DType, Device, Tensor};
/// use votive::nn::{AttentionMask, Parameters, TransformerDecoder, TransformerOptions, Weights};
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let options = TransformerOptions { heads: 2, feedforward: 32, ..Default::default() };
/// let weights = Weights::from_parameters(&parameters, &cpu);
/// let decoder = votive::block_on(TransformerDecoder::load(&weights, 16, 2, &options, true))?;
/// let (x, memory) = (Tensor::zeros([5, 3, 16], DType::F32, &cpu)?, Tensor::zeros([7, 3, 16], DType::F32, &cpu)?);
/// assert_eq!(decoder.forward(&x, &memory, AttentionMask::CAUSAL, AttentionMask::default())?.dims(), x.dims());
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct TransformerDecoder {
    layers: Vec<TransformerDecoderLayer>,
    norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// Finds the weights of so many layers under the prefix of `weights`, and of a norm at the end if asked for.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub async fn load(
        weights: &Weights,
        size: usize,
        layers: usize,
        options: &TransformerOptions,
        final_norm: bool,
    ) -> Result<Self> {
        let mut stack = Vec::with_capacity(layers);
        for i in 0..layers {
            let weights = weights.pp(&format!("layers.{i}"));
            stack.push(TransformerDecoderLayer::load(&weights, size, options).await?);
        }
        let norm = if final_norm { Some(norm(weights, "norm", size, options.eps).await?) } else { None };
        Ok(Self { layers: stack, norm })
    }
    /// A sequence and an encoder's result to a sequence of the same shape.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(
        &self,
        x: &Tensor,
        memory: &Tensor,
        mask: AttentionMask<'_>,
        memory_mask: AttentionMask<'_>,
    ) -> Result<Tensor> {
        self.forward_t(x, memory, mask, memory_mask, false)
    }
    /// [`TransformerDecoder::forward`], with dropout when `training`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(
        &self,
        x: &Tensor,
        memory: &Tensor,
        mask: AttentionMask<'_>,
        memory_mask: AttentionMask<'_>,
        training: bool,
    ) -> Result<Tensor> {
        let step =
            |x: Tensor, layer: &TransformerDecoderLayer| layer.forward_t(&x, memory, mask, memory_mask, training);
        let x = self.layers.iter().try_fold(x.clone(), step)?;
        self.norm.as_ref().map_or(Ok(x.clone()), |norm| norm.forward(&x))
    }
}
