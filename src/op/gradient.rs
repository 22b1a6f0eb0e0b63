//! Gradient rules: the entry, and what a rule sees. Each group's rules stand in its file.

use super::{Op, conv, elementwise, fft, fused, index, matmul, reduce};
use crate::{error::Result, tensor::Tensor};

/// What a gradient rule is given.
pub struct Backward<'a> {
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
    ///
    /// # Errors
    /// As `gradient`.
    pub fn needed(&self, i: usize, gradient: impl FnOnce() -> Result<Tensor>) -> Result<Option<Tensor>> {
        if self.needs.get(i).copied().unwrap_or(false) { gradient().map(Some) } else { Ok(None) }
    }
}

impl Op {
    /// Gradients to the inputs by the operation's own rule. `None`: it has no rule, and the gradient of its decomposition
    /// is taken; a primitive then has no gradient.
    pub(crate) fn gradient(&self, at: &Backward<'_>) -> Option<InputGradients> {
        match self {
            Op::Copy
            | Op::Cast(_)
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Affine { .. }
            | Op::Clamp { .. }
            | Op::Where => Some(elementwise::gradient(self, at)),
            Op::Reduce { .. } | Op::CumSum { .. } | Op::CumProd { .. } => Some(reduce::gradient(self, at)),
            Op::Cat { .. }
            | Op::Gather { .. }
            | Op::IndexSelect { .. }
            | Op::ScatterAdd { .. }
            | Op::Scatter { .. } => Some(index::gradient(self, at)),
            Op::Matmul => Some(matmul::gradient(at)),
            Op::Linear => Some(fused::linear::linear_gradient(at)),
            Op::Embedding { .. } => Some(fused::linear::embedding_gradient(at)),
            Op::Softmax { dim } => Some(fused::softmax::gradient(false, *dim, at)),
            Op::LogSoftmax { dim } => Some(fused::softmax::gradient(true, *dim, at)),
            Op::RmsNorm { eps } => Some(fused::norm::gradient(false, *eps, at)),
            Op::LayerNorm { eps } => Some(fused::norm::gradient(true, *eps, at)),
            Op::Rope { layout } => fused::rope::gradient(*layout, at),
            Op::Attention { scale, causal, window, softcap } => {
                Some(fused::attention::gradient((*scale, *causal, *window, *softcap), at))
            }
            Op::Gated(gate) => Some(fused::gated::gradient(*gate, at)),
            Op::Conv(conv) => Some(conv::gradient(conv, false, at)),
            Op::ConvTranspose(conv) => Some(conv::gradient(conv, true, at)),
            Op::Rfft | Op::Irfft { .. } => Some(fft::gradient(self, at)),
            Op::Custom(op) => op.0.backward(at),
            _ => None,
        }
    }
}
