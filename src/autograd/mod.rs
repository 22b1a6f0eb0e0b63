//! Reverse-mode differentiation.
//!
//! A tensor made by [`Tensor::requires_grad`] is a leaf; whatever is computed from it is tracked: it remembers the
//! operation and its operands. [`Tensor::backward`] goes back from a loss and gives the gradients of all leaves. Nothing is
//! recorded for tensors that do not depend on a leaf, nor inside [`no_grad`]. Integer results (indices, comparisons) have
//! no gradient and are not tracked, as in PyTorch.
//!
//! Gradient rules are written with tensor operations, so they run on every device and can be differentiated again
//! ([`GradOptions::create_graph`]). A fused operation without a rule of its own uses its decomposition's; an operation that
//! has no gradient says so when it is reached.
//!
//! ```
//! use votive::{Device, Tensor};
//! let x = Tensor::new([1.0f32, 2.0, 3.0], &Device::cpu())?.requires_grad();
//! let loss = x.sqr()?.sum(..)?;
//! let grads = loss.backward()?;
//! assert_eq!(grads.get(&x).unwrap().to_vec_sync::<f32>()?, [2.0, 4.0, 6.0]);
//! # Ok::<(), votive::Error>(())
//! ```

mod backward;
mod checkpoint;
mod clip;
mod node;
#[cfg(test)]
mod tests;
mod view;

pub use checkpoint::checkpoint;
pub use clip::{clip_grad_norm, clip_grad_value};
pub(crate) use node::{MadeBy, Node};
pub(crate) use view::{ViewOp, sum_to};

use crate::{
    error::{Error, Result},
    tensor::Tensor,
};
use backward::Wanted;
use std::{cell::Cell, collections::HashMap};

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(true) };
}

/// Runs `f` without recording: results are not tracked. For evaluation, and for updating parameters.
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    with_recording(false, f)
}

/// Runs `f` with recording on, inside [`no_grad`] too.
pub fn with_grad<T>(f: impl FnOnce() -> T) -> T {
    with_recording(true, f)
}

/// Are operations on tracked tensors recorded on this thread now?
pub fn is_recording() -> bool {
    RECORDING.get()
}

fn with_recording<T>(on: bool, f: impl FnOnce() -> T) -> T {
    /// Puts the old state back when `f` panics too.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            RECORDING.set(self.0);
        }
    }
    let _restore = Restore(RECORDING.replace(on));
    f()
}

/// Gradients by the tensor they belong to.
#[derive(Clone, Debug, Default)]
pub struct Gradients(HashMap<u64, Tensor>);

impl Gradients {
    /// The gradient of a leaf; `None` when the loss does not depend on it.
    pub fn get(&self, x: &Tensor) -> Option<&Tensor> {
        self.0.get(&x.node()?.id())
    }
    /// Takes the gradient of a leaf out.
    pub fn remove(&mut self, x: &Tensor) -> Option<Tensor> {
        self.0.remove(&x.node()?.id())
    }
    /// Replaces the gradient of a leaf, as clipping does. Nothing happens for a tensor that is not tracked.
    pub fn insert(&mut self, x: &Tensor, grad: Tensor) {
        if let Some(node) = x.node() {
            self.0.insert(node.id(), grad);
        }
    }
    /// How many gradients there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Adds these gradients to those of another run: gradient accumulation over micro-batches.
    ///
    /// # Errors
    /// When gradients of one tensor cannot be added.
    pub fn merge(&mut self, other: Gradients) -> Result<()> {
        other.0.into_iter().try_for_each(|(id, grad)| self.add(id, grad))
    }
    fn add(&mut self, id: u64, grad: Tensor) -> Result<()> {
        let sum = match self.0.remove(&id) {
            Some(before) => before.add(&grad)?,
            None => grad,
        };
        self.0.insert(id, sum);
        Ok(())
    }
}

/// How [`grad`] works.
#[derive(Clone, Copy, Debug, Default)]
pub struct GradOptions<'a> {
    /// Gradients given to the outputs; ones when absent, which needs outputs of one element.
    pub grad_outputs: Option<&'a [&'a Tensor]>,
    /// Record the computation of the gradients, so that they can be differentiated again.
    pub create_graph: bool,
}

/// Gradients of `outputs` (their sum) with respect to `inputs`, which may be leaves or results on the way. `None` for an
/// input that the outputs do not depend on.
///
/// ```
/// use votive::{Device, Tensor, autograd::{GradOptions, grad}};
/// let x = Tensor::new(2.0f32, &Device::cpu())?.requires_grad();
/// let y = x.sqr()?.sqr()?; // x⁴
/// let options = GradOptions { create_graph: true, ..GradOptions::default() };
/// let first = grad(&[&y], &[&x], options)?.remove(0).unwrap(); // 4x³
/// let second = grad(&[&first], &[&x], GradOptions::default())?.remove(0).unwrap(); // 12x²
/// assert_eq!(second.to_vec_sync::<f32>()?, [48.0]);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When an input or output is not tracked, gradients given do not fit, or an operation on the way has no gradient.
pub fn grad(outputs: &[&Tensor], inputs: &[&Tensor], options: GradOptions<'_>) -> Result<Vec<Option<Tensor>>> {
    let roots = match options.grad_outputs {
        None => outputs.iter().map(|y| Ok(((*y).clone(), unit_gradient(y)?))).collect::<Result<Vec<_>>>()?,
        Some(grads) if grads.len() == outputs.len() => {
            let pair = |(y, g): (&&Tensor, &&Tensor)| Ok(((*y).clone(), given_gradient(y, g)?));
            outputs.iter().zip(grads).map(pair).collect::<Result<Vec<_>>>()?
        }
        Some(grads) => {
            let message = format!("{} gradients given for {} outputs", grads.len(), outputs.len());
            return Err(Error::argument("grad", message));
        }
    };
    let id = |x: &&Tensor| x.node().map(|node| node.id()).ok_or_else(|| untracked("grad", "an input"));
    let ids = inputs.iter().map(id).collect::<Result<Vec<_>>>()?;
    let wanted = ids.iter().copied().collect();
    let found = backward::run(&roots, &Wanted::Nodes(&wanted), options.create_graph)?;
    Ok(ids.iter().map(|id| found.0.get(id).cloned()).collect())
}

fn untracked(op: &'static str, what: &str) -> Error {
    Error::argument(
        op,
        format!("{what} is not tracked: no requires_grad() tensor led to it, or it was made in no_grad"),
    )
}

/// The gradient of a one-element output to itself.
fn unit_gradient(y: &Tensor) -> Result<Tensor> {
    if !y.is_tracked() {
        return Err(untracked("backward", "the output"));
    }
    if y.elements() != 1 {
        let message = format!("the output {} is not one element; give its gradient with backward_with", y.shape());
        return Err(Error::shape("backward", message));
    }
    y.ones_like()
}

fn given_gradient(y: &Tensor, grad: &Tensor) -> Result<Tensor> {
    if !y.is_tracked() {
        return Err(untracked("backward", "the output"));
    }
    if grad.shape() != y.shape() {
        return Err(Error::shapes("backward", y.shape(), grad.shape(), "a gradient has the shape of its output"));
    }
    if grad.dtype() != y.dtype() {
        return Err(Error::dtypes("backward", y.dtype(), grad.dtype()));
    }
    Ok(grad.clone())
}

/// Autograd.
impl Tensor {
    /// This tensor as a leaf that gradients are wanted of. Integer tensors have none and stay as they are.
    pub fn requires_grad(&self) -> Tensor {
        if self.dtype().is_float() { self.with_node(Node::leaf()) } else { self.clone() }
    }
    /// Does a gradient flow through this tensor: is it a leaf, or was it computed from one?
    pub fn is_tracked(&self) -> bool {
        self.node().is_some()
    }
    /// Is this a leaf, made by [`Tensor::requires_grad`]?
    pub fn is_leaf(&self) -> bool {
        self.node().is_some_and(|node| node.made_by().is_none())
    }
    /// The same memory outside the graph: gradients stop here.
    pub fn detach(&self) -> Tensor {
        if self.is_tracked() { self.without_node() } else { self.clone() }
    }
    /// Gradients of this one-element tensor with respect to every leaf that it was computed from.
    ///
    /// # Errors
    /// When it is not tracked, not one element, or an operation on the way has no gradient.
    pub fn backward(&self) -> Result<Gradients> {
        backward::run(&[(self.clone(), unit_gradient(self)?)], &Wanted::Leaves, false)
    }
    /// [`Tensor::backward`] of a tensor of any shape, given the gradient to it (same shape and dtype).
    ///
    /// # Errors
    /// When it is not tracked, `grad` does not fit it, or an operation on the way has no gradient.
    pub fn backward_with(&self, grad: &Tensor) -> Result<Gradients> {
        backward::run(&[(self.clone(), given_gradient(self, grad)?)], &Wanted::Leaves, false)
    }
    /// The same tensor as a new node that leads to this one.
    fn alias(&self) -> Tensor {
        self.with_node(Node::step(MadeBy::View(ViewOp::Reshape), vec![self.clone()]))
    }
}

/// Every computation that led to a tensor, for tests that look for what is missing.
#[cfg(test)]
pub(crate) fn steps(x: &Tensor) -> Vec<&MadeBy> {
    let (mut left, mut seen, mut found) = (vec![x], std::collections::HashSet::new(), Vec::new());
    while let Some(node) = left.pop().and_then(|x| x.node()) {
        if let Some(step) = node.made_by().filter(|_| seen.insert(node.id())) {
            found.push(&step.made_by);
            left.extend(step.inputs.iter().filter(|x| x.is_tracked()));
        }
    }
    found
}
