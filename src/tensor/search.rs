//! Finding: places in sorted sequences, elements that a mask chooses. How many a mask chooses is data, so those functions
//! read it back: they are async, with a form that does not wait for the CPU device.

use super::Tensor;
use crate::{
    dtype::DType,
    error::{Error, Result},
};

/// Finding.
///
/// ```
/// use votive::{Device, Tensor};
/// let cpu = Device::cpu();
/// let edges = Tensor::new([1.0f32, 3.0, 5.0], &cpu)?;
/// let x = Tensor::new([[0.0f32, 3.0], [4.0, 9.0]], &cpu)?;
/// assert_eq!(x.bucketize(&edges, false)?.to_vec_sync::<u32>()?, [0, 1, 2, 3]);
/// assert_eq!(edges.searchsorted(&x.flatten_all()?, true)?.to_vec_sync::<u32>()?, [0, 2, 2, 3]);
/// let mask = x.gt_scalar(2.0)?;
/// assert_eq!(mask.nonzero_sync()?.to_vec_sync::<u32>()?, [0, 1, 1, 0, 1, 1]);
/// assert_eq!(x.masked_select_sync(&mask)?.to_vec_sync::<f32>()?, [3.0, 4.0, 9.0]);
/// let (values, counts) = Tensor::new([3i64, 1, 3, 3], &cpu)?.unique_sync()?;
/// assert_eq!((values.to_vec_sync::<i64>()?, counts.to_vec_sync::<u32>()?), (vec![1, 3], vec![1, 3]));
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// For each of `values` the u32 place in this ascending sequence at which it belongs: before elements equal to it, or
    /// after them if `right`. Sequences are the last dimension: one for all values, or one for each row of them.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let sorted = Tensor::new([1f32, 3.0, 5.0], &Device::cpu())?;
    /// let x = Tensor::new([3f32, 6.0], &Device::cpu())?;
    /// assert_eq!(sorted.searchsorted(&x, false)?.to_vec_sync::<u32>()?, [1, 3]);
    /// assert_eq!(sorted.searchsorted(&x, true)?.to_vec_sync::<u32>()?, [2, 3]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn searchsorted(&self, values: &Tensor, right: bool) -> Result<Tensor> {
        const OP: &str = "searchsorted";
        let fail = |why: &str| Error::shapes(OP, self.shape(), values.shape(), why);
        if self.rank() == 0 || values.rank() == 0 {
            return Err(fail("sequences are the last dimension, and there is none"));
        }
        let (own, wanted) = (&self.dims()[..self.rank() - 1], &values.dims()[..values.rank() - 1]);
        if self.rank() == 1 && values.rank() != 1 {
            return self.searchsorted(&values.flatten_all()?, right)?.reshape(values.shape());
        }
        if own != wanted {
            return Err(fail("dimensions before the last differ"));
        }
        let (sequence, values) = (self.detach(), values.detach());
        let (n, m) = (self.dim(-1)?, values.dim(-1)?);
        // Both sorted together, what came first before its equals: the places of the values, less the values before them.
        let (all, from) =
            if right { (Self::cat(&[&sequence, &values], -1)?, n) } else { (Self::cat(&[&values, &sequence], -1)?, 0) };
        let place = |t: &Tensor| t.argsort(-1, false)?.argsort(-1, false);
        place(&all)?.narrow(-1, from, m)?.sub(&place(&values)?)
    }
    /// The number of the interval between ascending `boundaries` in which each element lies, as u32: intervals include
    /// their upper end, or their lower one if `right`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let edges = Tensor::new([1f32, 3.0, 5.0], &Device::cpu())?;
    /// let x = Tensor::new([3f32, 6.0, 0.5], &Device::cpu())?;
    /// assert_eq!(x.bucketize(&edges, false)?.to_vec_sync::<u32>()?, [1, 3, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn bucketize(&self, boundaries: &Tensor, right: bool) -> Result<Tensor> {
        if boundaries.rank() != 1 {
            return Err(Error::shape("bucketize", format!("boundaries {} are no vector", boundaries.shape())));
        }
        boundaries.searchsorted(&self.flatten_all()?, right)?.reshape(self.shape())
    }
    /// Where elements are not 0: a row of u32 indices for each, in row-major order.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[0f32, 2.0], [3.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(votive::block_on(x.nonzero())?.to_vec2_sync::<u32>()?, [[0, 1], [1, 0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub async fn nonzero(&self) -> Result<Tensor> {
        self.coordinates(&self.truth()?.to_vec::<u8>().await?)
    }
    /// [`Tensor::nonzero`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[0f32, 2.0], [3.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(x.nonzero_sync()?.to_vec2_sync::<u32>()?, [[0, 1], [1, 0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn nonzero_sync(&self) -> Result<Tensor> {
        self.coordinates(&self.truth()?.to_vec_sync::<u8>()?)
    }
    fn coordinates(&self, truth: &[u8]) -> Result<Tensor> {
        let mut rows = Vec::new();
        let strides = self.shape().strides();
        for at in chosen(truth) {
            rows.extend(self.dims().iter().zip(&strides).map(|(&size, &stride)| (at as usize / stride % size) as u32));
        }
        let count = chosen(truth).count();
        Self::from_slice(&rows, [count, self.rank()], self.device())
    }
    /// The elements for which the u8 `mask` is not 0, as one dimension in row-major order. This and the mask broadcast.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let chosen = votive::block_on(x.masked_select(&x.gt_scalar(2.0)?))?;
    /// assert_eq!(chosen.to_vec_sync::<f32>()?, [3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub async fn masked_select(&self, mask: &Tensor) -> Result<Tensor> {
        let (x, mask) = self.beside_mask(mask)?;
        x.at_chosen(&mask.to_vec::<u8>().await?)
    }
    /// [`Tensor::masked_select`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.masked_select_sync(&x.gt_scalar(2.0)?)?.to_vec_sync::<f32>()?, [3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn masked_select_sync(&self, mask: &Tensor) -> Result<Tensor> {
        let (x, mask) = self.beside_mask(mask)?;
        x.at_chosen(&mask.to_vec_sync::<u8>()?)
    }
    fn beside_mask(&self, mask: &Tensor) -> Result<(Tensor, Tensor)> {
        let shape = self.shape().broadcast(mask.shape(), "masked_select")?;
        Ok((self.broadcast_to(&shape)?, mask.truth()?.broadcast_to(&shape)?))
    }
    fn at_chosen(&self, truth: &[u8]) -> Result<Tensor> {
        let places: Vec<_> = chosen(truth).collect();
        self.flatten_all()?.index_select(0, &Self::from_slice(&places, places.len(), self.device())?)
    }
    /// The different values in ascending order, and how often each occurs (u32). NaNs count as different.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3i64, 1, 3], &Device::cpu())?;
    /// let (values, counts) = votive::block_on(x.unique())?;
    /// assert_eq!((values.to_vec_sync::<i64>()?, counts.to_vec_sync::<u32>()?), (vec![1, 3], vec![1, 2]));
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub async fn unique(&self) -> Result<(Tensor, Tensor)> {
        let (sorted, first) = self.run_starts()?;
        sorted.runs(&first.to_vec::<u8>().await?)
    }
    /// [`Tensor::unique`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3i64, 1, 3], &Device::cpu())?;
    /// let (values, counts) = x.unique_sync()?;
    /// assert_eq!((values.to_vec_sync::<i64>()?, counts.to_vec_sync::<u32>()?), (vec![1, 3], vec![1, 2]));
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn unique_sync(&self) -> Result<(Tensor, Tensor)> {
        let (sorted, first) = self.run_starts()?;
        sorted.runs(&first.to_vec_sync::<u8>()?)
    }
    /// All elements sorted, and a mask of those that differ from the one before.
    fn run_starts(&self) -> Result<(Tensor, Tensor)> {
        let sorted = self.detach().flatten_all()?.sort(0, false)?.0;
        let n = sorted.elements();
        let first = Self::ones(n.min(1), DType::U8, self.device())?;
        let change =
            sorted.narrow(0, n.min(1), n.saturating_sub(1))?.ne(&sorted.narrow(0, 0, n.saturating_sub(1))?)?;
        Ok((sorted, Self::cat(&[&first, &change], 0)?))
    }
    fn runs(&self, first: &[u8]) -> Result<(Tensor, Tensor)> {
        let starts: Vec<_> = chosen(first).collect();
        let ends = starts.iter().skip(1).copied().chain([first.len() as i64]);
        let counts: Vec<_> = starts.iter().zip(ends).map(|(start, end)| (end - start) as u32).collect();
        Ok((self.at_chosen(first)?, Self::from_slice(&counts, counts.len(), self.device())?))
    }
}

/// Places of what is not 0.
fn chosen(truth: &[u8]) -> impl Iterator<Item = i64> {
    truth.iter().enumerate().filter(|(_, v)| **v != 0).map(|(i, _)| i as i64)
}
