//! Orders along a dimension.

use super::Tensor;
use crate::{
    error::{Error, Result},
    op::Op,
};

impl Tensor {
    /// u32 indices that sort `dim`; equals keep their order, NaN counts as largest.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3f32, 1.0, 2.0], &Device::cpu())?;
    /// assert_eq!(x.argsort(0, false)?.to_vec_sync::<u32>()?, [1, 2, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such dimension.
    pub fn argsort(&self, dim: isize, descending: bool) -> Result<Tensor> {
        Self::apply(Op::ArgSort { dim: self.shape().dim("argsort", dim)?, descending }, &[self])
    }
    /// Sorted values along `dim` and the u32 indices they came from.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3f32, 1.0, 2.0], &Device::cpu())?;
    /// let (values, indices) = x.sort(0, true)?;
    /// assert_eq!(values.to_vec_sync::<f32>()?, [3.0, 2.0, 1.0]);
    /// assert_eq!(indices.to_vec_sync::<u32>()?, [0, 2, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::argsort`].
    pub fn sort(&self, dim: isize, descending: bool) -> Result<(Tensor, Tensor)> {
        let indices = self.argsort(dim, descending)?;
        Ok((self.gather(dim, &indices)?, indices))
    }
    /// The `k` largest values along `dim`, largest first (or smallest, smallest first), and the u32 indices they came from.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3f32, 1.0, 2.0], &Device::cpu())?;
    /// let (values, indices) = x.topk(2, 0, true)?;
    /// assert_eq!(values.to_vec_sync::<f32>()?, [3.0, 2.0]);
    /// assert_eq!(indices.to_vec_sync::<u32>()?, [0, 2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such dimension or it is smaller than `k`.
    pub fn topk(&self, k: usize, dim: isize, largest: bool) -> Result<(Tensor, Tensor)> {
        let dim = self.shape().dim("topk", dim)?;
        if k > self.dims()[dim] {
            return Err(Error::argument("topk", format!("no {k} elements along dimension {dim} of {}", self.shape())));
        }
        let last = self.rank() - 1;
        let rows = self.transpose(dim as isize, last as isize)?;
        let indices = Self::apply(Op::TopK { k, largest }, &[&rows])?.transpose(dim as isize, last as isize)?;
        Ok((self.gather(dim as isize, &indices)?, indices))
    }
}
