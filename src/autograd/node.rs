//! What is remembered of how a tensor came to be.

use super::view::ViewOp;
use crate::{error::Result, op::Op, tensor::Tensor};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A tensor's place in the graph: a leaf, or the step that made it. Steps are numbered as they happen, so a node's inputs
/// have smaller numbers than itself, and going through nodes by falling number is a topological order.
#[derive(Debug)]
pub(crate) struct Node {
    id: u64,
    step: Option<Step>,
}

/// One recorded computation with its operands.
#[derive(Debug)]
pub(super) struct Step {
    pub made_by: MadeBy,
    pub inputs: Vec<Tensor>,
}

/// Which computation.
pub(crate) enum MadeBy {
    /// An operation of the closed set.
    Op(Op),
    /// Another view of the same memory.
    View(ViewOp),
    /// `[target, source]` → target with source written at `start` of `dim`.
    WriteSlice { dim: usize, start: usize },
    /// Run without recording; run again for its gradient.
    Checkpoint(Arc<CheckpointFn>),
}

/// A function whose inner results are not kept.
pub(crate) type CheckpointFn = dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync;

impl fmt::Debug for MadeBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Op(op) => op.fmt(f),
            Self::View(view) => view.fmt(f),
            Self::WriteSlice { dim, start } => write!(f, "WriteSlice {{ dim: {dim}, start: {start} }}"),
            Self::Checkpoint(_) => f.write_str("Checkpoint"),
        }
    }
}

impl MadeBy {
    /// What a user calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Op(op) => op.name(),
            Self::View(view) => view.name(),
            Self::WriteSlice { .. } => "write_slice",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}

impl Node {
    /// A tensor that gradients are wanted of.
    pub fn leaf() -> Arc<Self> {
        Arc::new(Self { id: next_id(), step: None })
    }
    /// The result of a computation.
    pub fn step(made_by: MadeBy, inputs: Vec<Tensor>) -> Arc<Self> {
        Arc::new(Self { id: next_id(), step: Some(Step { made_by, inputs }) })
    }
    pub fn id(&self) -> u64 {
        self.id
    }
    pub(super) fn made_by(&self) -> Option<&Step> {
        self.step.as_ref()
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Long chains (a recurrent network over thousands of steps) are taken apart in a loop: dropping them one inside the other
/// would overflow the stack.
impl Drop for Node {
    fn drop(&mut self) {
        let mut left = self.step.take().map_or_else(Vec::new, |step| step.inputs);
        while let Some(tensor) = left.pop() {
            if let Some(mut node) = tensor.into_sole_node()
                && let Some(step) = Arc::get_mut(&mut node).and_then(|node| node.step.take())
            {
                left.extend(step.inputs);
            }
        }
    }
}
