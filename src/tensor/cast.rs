//! Changing the element type.

use super::Tensor;
use crate::{dtype::DType, error::Result, op::Op};

impl Tensor {
    /// Elements converted as Rust's `as` does (saturating); block formats are dequantized, or quantized to.
    ///
    /// # Errors
    /// When rows do not fill whole blocks of the dtype.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        Self::apply(Op::Cast(dtype), &[self])
    }
}
