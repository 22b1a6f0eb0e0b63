//! Selecting and writing by index.

use super::{Inner, Tensor};
use crate::{
    autograd::MadeBy,
    error::{Error, Result},
    op::Op,
};
use std::sync::Arc;

#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// Elements at integer `indices` along `dim`, one for each index; as PyTorch's `gather`.
    pub fn gather(&self, dim: isize, indices: &Tensor) -> Result<Tensor> {
        Self::apply(Op::Gather { dim: self.shape().dim("gather", dim)? }, &[self, indices])
    }
    /// Whole slices of `dim` at the 1-d integer `indices`.
    pub fn index_select(&self, dim: isize, indices: &Tensor) -> Result<Tensor> {
        Self::apply(Op::IndexSelect { dim: self.shape().dim("index_select", dim)? }, &[self, indices])
    }
    /// This with `source` added at integer `indices` along `dim`; repeated indices add up.
    pub fn scatter_add(&self, dim: isize, indices: &Tensor, source: &Tensor) -> Result<Tensor> {
        Self::apply(Op::ScatterAdd { dim: self.shape().dim("scatter_add", dim)? }, &[self, indices, source])
    }
    /// This with `source` written at `start` of `dim`. In place when nothing else shares the memory, as for a cache that
    /// is handed on; otherwise into a copy.
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
