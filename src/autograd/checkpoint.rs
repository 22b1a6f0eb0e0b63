//! Gradient checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"): time for memory.

use super::{
    Gradients,
    backward::{self, Wanted},
    is_recording, no_grad,
    node::{CheckpointFn, MadeBy, Node},
    with_grad,
};
use crate::{error::Result, tensor::Tensor};
use std::sync::Arc;

/// Runs `f` without keeping its inner results; for the gradient it runs a second time.
///
/// `f` must compute the same again when called again. Gradients reach `inputs` and also the leaves that `f` uses besides
/// them, such as parameters of layers.
///
/// ```
/// use votive::{Device, Tensor, autograd::checkpoint};
/// let x = Tensor::new([1.0f32, 2.0], &Device::cpu())?.requires_grad();
/// let y = checkpoint(&[&x], |inputs| inputs[0].sqr()?.exp())?;
/// let grads = y.sum(..)?.backward()?;
/// assert_eq!(grads.get(&x).unwrap().dims(), [2]);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// As `f`.
pub fn checkpoint(
    inputs: &[&Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|&x| x.clone()).collect();
    let output = no_grad(|| f(&inputs))?;
    if !is_recording() || !output.dtype().is_float() {
        return Ok(output);
    }
    // Whether `f` uses tracked tensors of its own cannot be known, so the result is tracked in any case.
    Ok(output.with_node(Node::step(MadeBy::Checkpoint(Arc::new(f)), inputs)))
}

/// Gradients to `inputs`; those to leaves that the function captured go into `found`.
pub(super) fn gradient(
    f: &Arc<CheckpointFn>,
    inputs: &[Tensor],
    grad: &Tensor,
    wanted: &Wanted<'_>,
    found: &mut Gradients,
) -> Result<Vec<Option<Tensor>>> {
    let tracked = |x: &Tensor| if x.is_tracked() { x.detach().requires_grad() } else { x.clone() };
    let leaves: Vec<_> = inputs.iter().map(tracked).collect();
    let output = with_grad(|| f(&leaves))?;
    if !output.is_tracked() {
        return Ok(vec![None; inputs.len()]);
    }
    let root = [(output, grad.clone())];
    let mut grads = match wanted {
        Wanted::Leaves => backward::run(&root, wanted, false)?,
        Wanted::Nodes(ids) => {
            let own = leaves.iter().filter_map(|x| Some(x.node()?.id()));
            backward::run(&root, &Wanted::Nodes(&ids.iter().copied().chain(own).collect()), false)?
        }
    };
    let own = leaves.iter().map(|x| grads.remove(x)).collect();
    found.merge(grads)?;
    Ok(own)
}
