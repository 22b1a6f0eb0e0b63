//! Normalisation over the last dimension.

use super::Weights;
use crate::{error::Result, tensor::Tensor};

/// Root-mean-square norm (Zhang & Sennrich 2019): `x / sqrt(mean(x²) + eps) · w`.
#[derive(Clone)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// From a weight `[size]`.
    pub fn new(weight: Tensor, eps: f64) -> Self {
        Self { weight, eps }
    }
    /// Reads `weight` under the prefix of `weights`, as f32, and adds `offset` to it (Gemma checkpoints store `w - 1`).
    pub async fn load(weights: &Weights, size: usize, eps: f64, offset: f64) -> Result<Self> {
        let weight = weights.get_f32("weight", [size]).await?;
        let weight = if offset == 0.0 { weight } else { weight.affine(1.0, offset)? };
        Ok(Self { weight, eps })
    }
    /// Same shape as `x`, `[.., size]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.rms_norm(&self.weight, self.eps)
    }
}

/// Layer norm (Ba et al. 2016) with an optional bias.
#[derive(Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Option<Tensor>,
    eps: f64,
}

impl LayerNorm {
    /// From a weight and a bias, both `[size]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, eps: f64) -> Self {
        Self { weight, bias, eps }
    }
    /// Reads `weight` and, if asked for, `bias` under the prefix of `weights`, as f32.
    pub async fn load(weights: &Weights, size: usize, eps: f64, bias: bool) -> Result<Self> {
        let weight = weights.get_f32("weight", [size]).await?;
        let bias = if bias { Some(weights.get_f32("bias", [size]).await?) } else { None };
        Ok(Self { weight, bias, eps })
    }
    /// Same shape as `x`, `[.., size]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.layer_norm(&self.weight, self.bias.as_ref(), self.eps)
    }
}

/// Either kind of norm, for models where it is configuration.
#[derive(Clone)]
pub enum Norm {
    /// Root-mean-square norm.
    Rms(RmsNorm),
    /// Layer norm.
    Layer(LayerNorm),
}

impl Norm {
    /// Same shape as `x`, `[.., size]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Rms(norm) => norm.forward(x),
            Self::Layer(norm) => norm.forward(x),
        }
    }
}
