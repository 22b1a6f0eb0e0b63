//! Layers beside and behind each other in one operation, as transformers have them. Where gradients are wanted, the parts
//! run one by one, each with its own rule; so do layers with a bias or an adapter.

use super::{Linear, Module, Norm};
use crate::{
    autograd,
    error::{Error, Result},
    op::{Gate, Op},
    tensor::Tensor,
};

/// Runs a fused operation, or its parts where autograd records.
pub(super) fn apply(op: Op, inputs: &[&Tensor]) -> Result<Tensor> {
    if autograd::is_recording() && inputs.iter().any(|x| x.is_tracked()) {
        let no_parts = || Error::argument(op.name(), "has no decomposition");
        return op.decompose(inputs).unwrap_or_else(|| Err(no_parts()));
    }
    Tensor::apply(op, inputs)
}

/// What is left for a fused operation to do: its input, and an RMS norm of it. Other norms have been applied.
struct Source {
    x: Tensor,
    scale: Option<Tensor>,
    eps: Option<f64>,
}

impl Source {
    fn new(x: &Tensor, norm: Option<&Norm>) -> Result<Self> {
        Ok(match norm {
            Some(Norm::Rms(norm)) => {
                let (scale, eps) = norm.scale()?;
                Self { x: x.clone(), scale: Some(scale), eps: Some(eps) }
            }
            Some(norm) => Self { x: norm.forward(x)?, scale: None, eps: None },
            None => Self { x: x.clone(), scale: None, eps: None },
        })
    }
    /// The inputs of the operation.
    fn with<'a>(&'a self, weights: &'a [Tensor]) -> Vec<&'a Tensor> {
        [&self.x].into_iter().chain(&self.scale).chain(weights).collect()
    }
}

/// The weights of layers that have nothing else.
fn weights(layers: &[&Linear]) -> Option<Vec<Tensor>> {
    layers.iter().map(|layer| layer.lone_weight()).collect()
}

fn normed(x: &Tensor, norm: Option<&Norm>) -> Result<Tensor> {
    norm.map_or_else(|| Ok(x.clone()), |norm| norm.forward(x))
}

/// Projections of one input, `[.., inputs]`, behind a norm if there is one: their results side by side, `[.., outputs of all]`.
///
/// ```
/// use votive::{Device, Tensor, nn::{Linear, linears}};
/// let double = Linear::new(Tensor::new([[2.0f32]], &Device::cpu())?, None);
/// let triple = Linear::new(Tensor::new([[3.0f32]], &Device::cpu())?, None);
/// let x = Tensor::new([[1.0f32], [10.0]], &Device::cpu())?;
/// assert_eq!(linears(&x, None, &[&double, &triple], false)?.to_vec_sync::<f32>()?, [2.0, 3.0, 20.0, 30.0]);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When there are no layers, or the input does not fit one of them or the norm.
pub fn linears(x: &Tensor, norm: Option<&Norm>, layers: &[&Linear], training: bool) -> Result<Tensor> {
    match (weights(layers), layers) {
        (Some(weights), _) if norm.is_some() || layers.len() != 1 => {
            let source = Source::new(x, norm)?;
            apply(Op::Linears { norm: source.eps }, &source.with(&weights))
        }
        (_, [layer]) => layer.forward_t(&normed(x, norm)?, training),
        _ => {
            let x = normed(x, norm)?;
            let parts = layers.iter().map(|layer| layer.forward_t(&x, training)).collect::<Result<Vec<_>>>()?;
            Tensor::cat(&parts.iter().collect::<Vec<_>>(), -1)
        }
    }
}

/// `activation(gate(x)) * up(x)`, behind a norm if there is one: `[.., inputs]` → `[.., outputs]`.
///
/// ```
/// use votive::{Device, Tensor, nn::{Linear, gated_linears}, op::Gate};
/// let double = Linear::new(Tensor::new([[2.0f32]], &Device::cpu())?, None);
/// let triple = Linear::new(Tensor::new([[3.0f32]], &Device::cpu())?, None);
/// let x = Tensor::new([[-1.0f32], [10.0]], &Device::cpu())?;
/// assert_eq!(gated_linears(&x, None, Gate::Relu, [&double, &triple], false)?.to_vec_sync::<f32>()?, [0.0, 600.0]);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When the input does not fit a layer or the norm, or the layers differ in size.
pub fn gated_linears(
    x: &Tensor,
    norm: Option<&Norm>,
    activation: Gate,
    [gate, up]: [&Linear; 2],
    training: bool,
) -> Result<Tensor> {
    if let Some(weights) = weights(&[gate, up]) {
        let source = Source::new(x, norm)?;
        return apply(Op::GatedLinears { gate: activation, norm: source.eps }, &source.with(&weights));
    }
    let x = normed(x, norm)?;
    gate.forward_t(&x, training)?.gated(activation, &up.forward_t(&x, training)?)
}
