//! Selecting and writing by index.

use super::{
    Inner, Tensor,
    operators::{Operand, Value},
};
use crate::{
    autograd::MadeBy,
    error::{Error, Result},
    op::Op,
    shape::Shape,
};
use std::sync::Arc;

/// Reading and writing by integer tensors (u32, i64, i32 or u8). Indices count from the beginning; one that is outside is
/// an error that names it and the size. (In [`Tensor::i`] negative ones count from the end.)
///
/// ```
/// use votive::{Device, Tensor};
/// let cpu = Device::cpu();
/// let x = Tensor::new([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &cpu)?;
/// let rows = Tensor::new([2u32, 0], &cpu)?;
/// let values = |t: votive::Result<Tensor>| t?.to_vec_sync::<f32>();
/// assert_eq!(values(x.index_select(0, &rows))?, [5.0, 6.0, 1.0, 2.0]);
/// assert_eq!(values(x.gather(1, &Tensor::new([[1u32], [0], [1]], &cpu)?))?, [2.0, 3.0, 6.0]);
/// assert_eq!(values(x.scatter(1, &Tensor::new([[0u32, 1]], &cpu)?, 0.0))?, [0.0, 0.0, 3.0, 4.0, 5.0, 6.0]);
/// assert_eq!(values(x.index_add(0, &rows, &x.narrow(0, 0, 2)?))?, [4.0, 6.0, 3.0, 4.0, 6.0, 8.0]);
/// assert_eq!(values(x.index_copy(0, &rows, &x.narrow(0, 0, 2)?))?, [3.0, 4.0, 3.0, 4.0, 1.0, 2.0]);
/// assert_eq!(values(x.index_fill(0, &rows, 9.0))?, [9.0, 9.0, 3.0, 4.0, 9.0, 9.0]);
/// assert_eq!(values(x.take(&Tensor::new([5u32, 0], &cpu)?))?, [6.0, 1.0]);
/// assert_eq!(values(x.take_along_dim(&x.argmax_keepdim(1)?, 1))?, [2.0, 4.0, 6.0]);
/// assert_eq!(x.index_select(0, &Tensor::new([3u32], &cpu)?).unwrap_err().to_string(), "index_select: index 3 is outside 0..3");
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// Elements at integer `indices` along `dim`, one for each index; as PyTorch's `gather`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let ids = Tensor::new([[1u32], [0]], x.device())?;
    /// assert_eq!(x.gather(1, &ids)?.to_vec_sync::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn gather(&self, dim: isize, indices: &Tensor) -> Result<Tensor> {
        Self::apply(Op::Gather { dim: self.shape().dim("gather", dim)? }, &[self, indices])
    }
    /// Whole slices of `dim` at the 1-d integer `indices`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let ids = Tensor::new([1u32, 0, 1], x.device())?;
    /// assert_eq!(x.index_select(0, &ids)?.to_vec_sync::<f32>()?, [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn index_select(&self, dim: isize, indices: &Tensor) -> Result<Tensor> {
        Self::apply(Op::IndexSelect { dim: self.shape().dim("index_select", dim)? }, &[self, indices])
    }
    /// This with `source` added at integer `indices` along `dim`; repeated indices add up.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let ids = Tensor::new([[0u32, 0], [1, 1]], x.device())?;
    /// assert_eq!(x.scatter_add(1, &ids, &x)?.to_vec_sync::<f32>()?, [4.0, 2.0, 3.0, 11.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn scatter_add(&self, dim: isize, indices: &Tensor, source: &Tensor) -> Result<Tensor> {
        Self::apply(Op::ScatterAdd { dim: self.shape().dim("scatter_add", dim)? }, &[self, indices, source])
    }
    /// This with `source` (a tensor of the indices' shape, or one number) in the place of its elements at integer `indices`
    /// along `dim`; of repeated indices the last wins.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let ids = Tensor::new([[1u32], [0]], x.device())?;
    /// assert_eq!(x.scatter(1, &ids, 9.0)?.to_vec_sync::<f32>()?, [1.0, 9.0, 9.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn scatter(&self, dim: isize, indices: &Tensor, source: impl Operand) -> Result<Tensor> {
        let dim = self.shape().dim("scatter", dim)?;
        let source = match source.value()? {
            Value::Tensor(source) => source,
            number => number.beside(self)?.broadcast_to(indices.shape())?,
        };
        Self::apply(Op::Scatter { dim }, &[self, indices, &source])
    }
    /// This with the slices of `source` added to its own at the 1-d integer `indices` of `dim`; repeated indices add up.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let (ids, row) = (Tensor::new([1u32], x.device())?, x.narrow(0, 0, 1)?);
    /// assert_eq!(x.index_add(0, &ids, &row)?.to_vec_sync::<f32>()?, [1.0, 2.0, 4.0, 6.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn index_add(&self, dim: isize, indices: &Tensor, source: &Tensor) -> Result<Tensor> {
        self.scatter_add(dim, &self.slice_indices("index_add", dim, indices, source.shape())?, source)
    }
    /// This with the slices of `source` in the place of its own at the 1-d integer `indices` of `dim`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let (ids, row) = (Tensor::new([1u32], x.device())?, x.narrow(0, 0, 1)?);
    /// assert_eq!(x.index_copy(0, &ids, &row)?.to_vec_sync::<f32>()?, [1.0, 2.0, 1.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn index_copy(&self, dim: isize, indices: &Tensor, source: &Tensor) -> Result<Tensor> {
        self.scatter(dim, &self.slice_indices("index_copy", dim, indices, source.shape())?, source)
    }
    /// This with `value` in the slices at the 1-d integer `indices` of `dim`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let ids = Tensor::new([1u32], x.device())?;
    /// assert_eq!(x.index_fill(1, &ids, 9.0)?.to_vec_sync::<f32>()?, [1.0, 9.0, 3.0, 9.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn index_fill(&self, dim: isize, indices: &Tensor, value: f64) -> Result<Tensor> {
        let mut shape = self.dims().to_vec();
        shape[self.shape().dim("index_fill", dim)?] = indices.elements();
        self.scatter(dim, &self.slice_indices("index_fill", dim, indices, &shape.into())?, value)
    }
    /// 1-d `indices` of `dim` spread over slices of a source.
    fn slice_indices(&self, op: &'static str, dim: isize, indices: &Tensor, source: &Shape) -> Result<Tensor> {
        let dim = self.shape().dim(op, dim)?;
        let &[n] = indices.dims() else {
            return Err(Error::shape(op, format!("indices must have one dimension, got {}", indices.shape())));
        };
        let mut wanted = self.dims().to_vec();
        wanted[dim] = n;
        if source.dims() != wanted {
            let why = format!("{n} slices of dimension {dim} have the shape {}", Shape::from(wanted));
            return Err(Error::shapes(op, self.shape(), source, why));
        }
        let mut along = vec![1; self.rank()];
        along[dim] = n;
        indices.reshape(along)?.broadcast_to(source)
    }
    /// Elements at integer `indices` of this tensor as one dimension, in the shape of the indices.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let ids = Tensor::new([3u32, 0], x.device())?;
    /// assert_eq!(x.take(&ids)?.to_vec_sync::<f32>()?, [4.0, 1.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn take(&self, indices: &Tensor) -> Result<Tensor> {
        self.flatten_all()?.index_select(0, &indices.flatten_all()?)?.reshape(indices.shape())
    }
    /// [`Tensor::gather`] where sizes apart from `dim` broadcast: with the results of [`Tensor::argsort`] or
    /// [`Tensor::argmax_keepdim`], the elements that they name.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [4.0, 3.0]], &Device::cpu())?;
    /// assert_eq!(x.take_along_dim(&x.argsort(1, true)?, 1)?.to_vec_sync::<f32>()?, [2.0, 1.0, 4.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn take_along_dim(&self, indices: &Tensor, dim: isize) -> Result<Tensor> {
        const OP: &str = "take_along_dim";
        let at = self.shape().dim(OP, dim)?;
        if indices.rank() != self.rank() {
            let why = "indices must have as many dimensions";
            return Err(Error::shapes(OP, self.shape(), indices.shape(), why));
        }
        let with = |t: &Tensor, size: usize| {
            let mut dims = t.dims().to_vec();
            dims[at] = size;
            Shape::from(dims)
        };
        let common = with(self, 1).broadcast(&with(indices, 1), OP)?;
        let full = |size: usize| {
            let mut dims = common.dims().to_vec();
            dims[at] = size;
            dims
        };
        let (own, wanted) = (full(self.dims()[at]), full(indices.dims()[at]));
        self.broadcast_to(own)?.gather(at as isize, &indices.broadcast_to(wanted)?)
    }
    /// This with `source` written at `start` of `dim`. In place when nothing else shares the memory, as for a cache that
    /// is handed on; otherwise into a copy.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let row = Tensor::new([[8f32, 9.0]], x.device())?;
    /// assert_eq!(x.write_slice(0, 1, &row)?.to_vec_sync::<f32>()?, [1.0, 2.0, 8.0, 9.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn write_slice(self, dim: isize, start: usize, source: &Tensor) -> Result<Tensor> {
        const OP: &str = "write_slice";
        let dim = self.shape().dim(OP, dim)?;
        let fits = source.rank() == self.rank()
            && (0..self.rank()).all(|i| i == dim || source.dims()[i] == self.dims()[i])
            && start.checked_add(source.dims()[dim]).is_some_and(|end| end <= self.dims()[dim]);
        if !fits {
            let why = format!("does not fit at {start} of dimension {dim}");
            return Err(Error::shapes(OP, self.shape(), source.shape(), why));
        }
        if self.dtype() != source.dtype() {
            return Err(Error::dtypes(OP, self.dtype(), source.dtype()));
        }
        if self.dtype().is_quantized() {
            return Err(Error::dtype(OP, format!("{} is a block format and is not written", self.dtype())));
        }
        if !self.device().same(source.device()) {
            let message = format!("operands on {} and {}; move one with to_device", self.device(), source.device());
            return Err(Error::Device { op: OP, message });
        }
        // A tracked target stays in the graph, which keeps its memory: it is then written into a copy.
        let before = self.is_tracked().then(|| self.clone());
        let target = if self.layout().is_contiguous() { self } else { self.contiguous()? };
        let Inner { storage, layout, dtype, device, .. } = Arc::unwrap_or_clone(target.0);
        let part = layout.narrow(dim, start, source.dims()[dim])?;
        let storage = device.backend().write_slice(storage, &part, &source.view())?;
        let out = Self::from_parts(storage, layout, dtype, device);
        if !source.is_tracked() && before.is_none() {
            return Ok(out);
        }
        // An untracked target needs no more than its shape in the graph, which the result has too.
        let target = before.unwrap_or_else(|| out.clone());
        Ok(out.recorded(|| MadeBy::WriteSlice { dim, start }, &[&target, source]))
    }
}
