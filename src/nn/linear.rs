//! Fully connected layers.

use super::{Init, Module, Parameter, Weights};
use crate::{error::Result, tensor::Tensor};

/// `y = x · wᵀ + b`, with a weight `[outputs, inputs]` of any dtype: float or a block format.
#[derive(Clone)]
pub struct Linear {
    weight: Parameter,
    bias: Option<Parameter>,
}

impl Linear {
    /// From a weight `[outputs, inputs]` and a bias `[outputs]`. Tensors become frozen parameters.
    pub fn new(weight: impl Into<Parameter>, bias: Option<Parameter>) -> Self {
        Self { weight: weight.into(), bias }
    }
    /// Finds `weight` (kept in its dtype) and, if asked for, `bias` under the prefix of `weights`. New ones are uniform
    /// between `±1/sqrt(inputs)`, as PyTorch's.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub async fn load(weights: &Weights, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let init = Init::fan_in_uniform(inputs);
        let weight = weights.parameter("weight", [outputs, inputs], init).await?;
        let bias = if bias { Some(weights.parameter_f32("bias", [outputs], init).await?) } else { None };
        Ok(Self { weight, bias })
    }
    /// `[.., inputs]` → `[.., outputs]`.
    ///
    /// # Errors
    /// When the last dimension is not `inputs`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => x.linear(&self.weight.get(), Some(&bias.get())),
            None => x.linear(&self.weight.get(), None),
        }
    }
    /// The weight, `[outputs, inputs]`.
    pub fn weight(&self) -> Tensor {
        self.weight.get()
    }
    /// The bias, `[outputs]`.
    pub fn bias(&self) -> Option<Tensor> {
        self.bias.as_ref().map(Parameter::get)
    }
    /// The weight as it is shared: for freezing it, sharing it with another layer, or replacing its values.
    pub fn weight_parameter(&self) -> &Parameter {
        &self.weight
    }
    /// The bias as it is shared.
    pub fn bias_parameter(&self) -> Option<&Parameter> {
        self.bias.as_ref()
    }
}

impl Module for Linear {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        self.forward(x)
    }
}
