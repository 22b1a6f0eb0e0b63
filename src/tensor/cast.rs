//! Changing the element type.

use super::Tensor;
use crate::{dtype::DType, error::Result, op::Op};

impl Tensor {
    /// Elements converted as Rust's `as` does (saturating); block formats are dequantized, or quantized to.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::new([1.7f32, -1.7, 1e9], &Device::cpu())?;
    /// assert_eq!(x.to_dtype(DType::I32)?.to_vec_sync::<i32>()?, [1, -1, 1_000_000_000]);
    /// assert_eq!(x.to_dtype(DType::U8)?.to_vec_sync::<u8>()?, [1, 0, 255]);
    /// # Ok::<(), votive::Error>(())
    /// ```
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
