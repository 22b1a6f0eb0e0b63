//! Gradient rules: the entry, and what a rule sees. Each group's rules stand in its file.

use super::{Op, elementwise, matmul};
use crate::{error::Result, tensor::Tensor};

/// What a gradient rule is given.
pub(crate) struct Backward<'a> {
    /// The operation's inputs.
    pub inputs: &'a [Tensor],
    /// Its result.
    pub output: &'a Tensor,
    /// The gradient to the result: its shape and dtype.
    pub grad: &'a Tensor,
    /// Which inputs need a gradient.
    pub needs: &'a [bool],
}

/// One gradient for each input, `None` for those that need or have none.
pub(crate) type InputGradients = Result<Vec<Option<Tensor>>>;

impl Backward<'_> {
    /// The gradient to input `i` if it is needed.
    pub fn needed(&self, i: usize, gradient: impl FnOnce() -> Result<Tensor>) -> Result<Option<Tensor>> {
        if self.needs.get(i).copied().unwrap_or(false) { gradient().map(Some) } else { Ok(None) }
    }
}

impl Op {
    /// Gradients to the inputs by the operation's own rule. `None`: it has no rule, and the gradient of its decomposition
    /// is taken; a primitive then has no gradient.
    pub(crate) fn gradient(&self, at: &Backward<'_>) -> Option<InputGradients> {
        match self {
            Op::Copy | Op::Unary(_) | Op::Binary(_) => Some(elementwise::gradient(self, at)),
            Op::Matmul => Some(matmul::gradient(at)),
            _ => None,
        }
    }
}
