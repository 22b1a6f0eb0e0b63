//! Normalisation over the last dimension.

use super::{Init, Module, Parameter, Weights, fused};
use crate::{error::Result, op::Op, tensor::Tensor};

/// Root-mean-square norm (Zhang & Sennrich 2019): `x / sqrt(mean(x²) + eps) · w`.
#[derive(Clone)]
pub struct RmsNorm {
    weight: Parameter,
    eps: f64,
    /// Added to a weight that is trained as `w - offset`.
    offset: f64,
}

impl RmsNorm {
    /// From a weight `[size]`; a tensor becomes a frozen parameter.
    pub fn new(weight: impl Into<Parameter>, eps: f64) -> Self {
        Self { weight: weight.into(), eps, offset: 0.0 }
    }
    /// Finds `weight` under the prefix of `weights`, as f32, and adds `offset` to it (Gemma checkpoints store `w - 1`). A new
    /// one makes `w` one.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub async fn load(weights: &Weights, size: usize, eps: f64, offset: f64) -> Result<Self> {
        let weight = weights.parameter_f32("weight", [size], Init::Constant(1.0 - offset)).await?;
        if offset == 0.0 || weight.is_trainable() {
            return Ok(Self { weight, eps, offset });
        }
        Ok(Self::new(weight.get().affine(1.0, offset)?, eps))
    }
    /// Same shape as `x`, `[.., size]`.
    ///
    /// # Errors
    /// When the last dimension is not `size`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (scale, eps) = self.scale()?;
        x.rms_norm(&scale, eps)
    }
    /// What the normalised input is multiplied by, `[size]`, and what is added to its mean square.
    pub(super) fn scale(&self) -> Result<(Tensor, f64)> {
        let weight = self.weight.get();
        Ok((if self.offset == 0.0 { weight } else { weight.affine(1.0, self.offset)? }, self.eps))
    }
}

impl Module for RmsNorm {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        self.forward(x)
    }
}

/// Layer norm (Ba et al. 2016) with an optional bias.
#[derive(Clone)]
pub struct LayerNorm {
    weight: Parameter,
    bias: Option<Parameter>,
    eps: f64,
}

impl LayerNorm {
    /// From a weight and a bias, both `[size]`; tensors become frozen parameters.
    pub fn new(weight: impl Into<Parameter>, bias: Option<Parameter>, eps: f64) -> Self {
        Self { weight: weight.into(), bias, eps }
    }
    /// Finds `weight` and, if asked for, `bias` under the prefix of `weights`, as f32. New ones are one and zero.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub async fn load(weights: &Weights, size: usize, eps: f64, bias: bool) -> Result<Self> {
        let weight = weights.parameter_f32("weight", [size], Init::ONES).await?;
        let bias = if bias { Some(weights.parameter_f32("bias", [size], Init::ZEROS).await?) } else { None };
        Ok(Self { weight, bias, eps })
    }
    /// Same shape as `x`, `[.., size]`.
    ///
    /// # Errors
    /// When the last dimension is not `size`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => x.layer_norm(&self.weight.get(), Some(&bias.get()), self.eps),
            None => x.layer_norm(&self.weight.get(), None, self.eps),
        }
    }
}

impl Module for LayerNorm {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        self.forward(x)
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
    ///
    /// # Errors
    /// When the last dimension is not that of the norm.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Rms(norm) => norm.forward(x),
            Self::Layer(norm) => norm.forward(x),
        }
    }
    /// `residual + forward(x)`, all of one shape.
    ///
    /// # Errors
    /// When x or the residual does not fit.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match self {
            Self::Rms(norm) => {
                let (scale, eps) = norm.scale()?;
                fused::apply(Op::RmsNormAdd { eps }, &[x, &scale, residual])
            }
            Self::Layer(norm) => residual.add(&norm.forward(x)?),
        }
    }
}
