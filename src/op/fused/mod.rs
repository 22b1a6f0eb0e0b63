//! Fused operations: each has a decomposition into primitives, which is also what tests compare kernels with.

pub(crate) mod attention;
pub(super) mod gated;
pub(super) mod heads;
pub(super) mod linear;
pub(super) mod norm;
pub(crate) mod projections;
pub(super) mod rope;
pub(super) mod softmax;

use crate::{dtype::DType, error::Result, tensor::Tensor};

/// The dtype in which a decomposition computes: half precision is computed in f32.
pub(super) fn compute_dtype(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

/// Runs `f` on `x` in its compute dtype and casts the result back.
pub(in crate::op) fn computed(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    f(&x.to_dtype(compute_dtype(x.dtype()))?)?.to_dtype(x.dtype())
}
