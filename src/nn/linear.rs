//! Fully connected layers.

use super::Weights;
use crate::{error::Result, tensor::Tensor};

/// `y = x · wᵀ + b`, with a weight `[outputs, inputs]` of any dtype: float or a block format.
#[derive(Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// From a weight `[outputs, inputs]` and a bias `[outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }
    /// Reads `weight` (kept in its dtype) and, if asked for, `bias` under the prefix of `weights`.
    pub async fn load(weights: &Weights, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let weight = weights.get("weight", [outputs, inputs]).await?;
        let bias = if bias { Some(weights.get_f32("bias", [outputs]).await?) } else { None };
        Ok(Self { weight, bias })
    }
    /// `[.., inputs]` → `[.., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.linear(&self.weight, self.bias.as_ref())
    }
    /// The weight, `[outputs, inputs]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
    /// The bias, `[outputs]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}
