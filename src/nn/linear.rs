//! Fully connected layers.

use super::{Init, LoraAdapter, Module, Parameter, Weights, fused};
use crate::{
    error::{Error, Result},
    op::Op,
    tensor::Tensor,
};

/// `y = x · wᵀ + b`, with a weight `[outputs, inputs]` of any dtype: float or a block format; with an adapter, if it has
/// one, added.
#[derive(Clone)]
pub struct Linear {
    weight: Parameter,
    bias: Option<Parameter>,
    adapter: Option<Box<Adapted>>,
}

/// An adapter, and the weight without it while it is merged.
#[derive(Clone)]
struct Adapted {
    adapter: LoraAdapter,
    original: Option<Parameter>,
}

impl Linear {
    /// From a weight `[outputs, inputs]` and a bias `[outputs]`. Tensors become frozen parameters.
    pub fn new(weight: impl Into<Parameter>, bias: Option<Parameter>) -> Self {
        Self { weight: weight.into(), bias, adapter: None }
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
        Ok(Self { weight, bias, adapter: None })
    }
    /// `[.., inputs]` → `[.., outputs]`.
    ///
    /// # Errors
    /// When the last dimension is not `inputs`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_t(x, false)
    }
    /// `residual + forward(x)`: `[.., inputs]` and `[.., outputs]` → `[.., outputs]`.
    ///
    /// # Errors
    /// When x or the residual does not fit.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor, training: bool) -> Result<Tensor> {
        match self.lone_weight() {
            Some(weight) => fused::apply(Op::LinearAdd, &[x, &weight, residual]),
            None => residual.add(&self.forward_t(x, training)?),
        }
    }
    /// Gives the layer a low-rank adapter, or takes it away; one that was merged is undone first.
    ///
    /// # Errors
    /// When it does not fit the weight.
    pub fn set_adapter(&mut self, adapter: Option<LoraAdapter>) -> Result<()> {
        self.unmerge_adapter();
        if let Some(adapter) = &adapter {
            adapter.check(&self.weight())?;
        }
        self.adapter = adapter.map(|adapter| Box::new(Adapted { adapter, original: None }));
        Ok(())
    }
    /// The adapter, if there is one.
    pub fn adapter(&self) -> Option<&LoraAdapter> {
        self.adapter.as_ref().map(|adapted| &adapted.adapter)
    }
    /// Adds the adapter's change to the weight, in the weight's dtype. The weight as it was is kept for
    /// [`Linear::unmerge_adapter`]. Nothing happens without an adapter, or when it is merged already.
    ///
    /// # Errors
    /// When the weight is quantized: rounded to its blocks, most of a small change would be lost.
    pub fn merge_adapter(&mut self) -> Result<()> {
        let Some(adapted) = self.adapter.as_mut().filter(|adapted| adapted.original.is_none()) else { return Ok(()) };
        let weight = self.weight.get().detach();
        let dtype = weight.dtype();
        if dtype.is_quantized() {
            let message = format!(
                "the weight is {dtype}, and merging would round most of a small change away; keep the adapter beside it, \
                 or load the model with float weights"
            );
            return Err(Error::dtype("merge", message));
        }
        let delta = adapted.adapter.delta()?.detach();
        let merged = weight.to_dtype(delta.dtype())?.add(&delta)?.to_dtype(dtype)?;
        adapted.original = Some(std::mem::replace(&mut self.weight, Parameter::frozen(merged)));
        Ok(())
    }
    /// Undoes [`Linear::merge_adapter`]; the weight is exactly what it was.
    pub fn unmerge_adapter(&mut self) {
        if let Some(original) = self.adapter.as_mut().and_then(|adapted| adapted.original.take()) {
            self.weight = original;
        }
    }
    /// The weight, `[outputs, inputs]`.
    pub fn weight(&self) -> Tensor {
        self.weight.get()
    }
    /// The weight, if the layer computes with nothing else: it has no bias, and no adapter beside the weight.
    pub(super) fn lone_weight(&self) -> Option<Tensor> {
        let adapted = self.adapter.as_ref().is_some_and(|adapted| adapted.original.is_none());
        (self.bias.is_none() && !adapted).then(|| self.weight.get())
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
    fn forward_t(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        let weight = self.weight.get();
        let y = match &self.bias {
            Some(bias) => x.linear(&weight, Some(&bias.get())),
            None => x.linear(&weight, None),
        }?;
        match &self.adapter {
            Some(adapted) if adapted.original.is_none() => y.add(&adapted.adapter.forward(x, training)?),
            _ => Ok(y),
        }
    }
}
