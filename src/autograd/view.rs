//! Views in the graph: which view was taken, and the gradient to what was viewed.

use crate::{error::Result, op::pad::fold, shape::Shape, tensor::Tensor};

/// How one tensor is a view of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ViewOp {
    /// The same elements under another shape.
    Reshape,
    /// Dimension `i` is the viewed tensor's `order[i]`.
    Permute(Vec<usize>),
    /// A range of dimension `dim`.
    Narrow { dim: usize, start: usize },
    /// Every `step`th index of dimension `dim`.
    Step { dim: usize, step: usize },
    /// Repeated along dimensions.
    Broadcast,
    /// Windows along dimension `dim` that begin every `step`; their elements are the last dimension.
    Unfold { dim: usize, step: usize },
}

impl ViewOp {
    /// What a user calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reshape => "reshape",
            Self::Permute(_) => "permute",
            Self::Narrow { .. } => "narrow",
            Self::Step { .. } => "step",
            Self::Broadcast => "broadcast_to",
            Self::Unfold { .. } => "unfold",
        }
    }
    /// The gradient to the viewed tensor `x`, given the one to the view.
    pub(super) fn gradient(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        match self {
            Self::Reshape => grad.reshape(x.shape()),
            Self::Permute(order) => {
                let mut inverse = vec![0; order.len()];
                for (to, &from) in order.iter().enumerate() {
                    inverse[from] = to;
                }
                grad.permute(inverse)
            }
            Self::Narrow { dim, start } => {
                Tensor::zeros(x.shape(), x.dtype(), x.device())?.write_slice(*dim as isize, *start, grad)
            }
            Self::Step { dim, step } => {
                // Zeros after each element, as many as were stepped over, and no more than there were.
                let (at, next) = (*dim as isize, *dim as isize + 1);
                let mut gaps = grad.dims().to_vec();
                gaps.insert(*dim + 1, step - 1);
                let gaps = Tensor::zeros(gaps, grad.dtype(), grad.device())?;
                Tensor::cat(&[&grad.unsqueeze(next)?, &gaps], next)?.flatten(at, next)?.narrow(at, 0, x.dims()[*dim])
            }
            Self::Broadcast => sum_to(grad, x.shape()),
            Self::Unfold { dim, step } => {
                // The elements of the windows beside their windows.
                let last = grad.rank() - 1;
                let mut order: Vec<_> = (0..last).collect();
                order.insert(dim + 1, last);
                fold(&grad.permute(order)?, *dim, x.dims()[*dim], *step, 1)
            }
        }
    }
}

/// The sum over the dimensions along which `shape` was broadcast to `grad`'s.
pub(crate) fn sum_to(grad: &Tensor, shape: &Shape) -> Result<Tensor> {
    let new = grad.rank() - shape.rank();
    let repeated = |i: &usize| *i < new || (shape.dims()[i - new] == 1 && grad.dims()[*i] != 1);
    let dims: Vec<_> = (0..grad.rank()).filter(repeated).map(|i| i as isize).collect();
    if dims.is_empty() {
        return grad.reshape(shape);
    }
    grad.sum_keepdim(&dims[..])?.reshape(shape)
}
