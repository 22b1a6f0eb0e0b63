//! The tensor a user writes with: immutable, cheap to clone, strided over shared storage.

use crate::{
    backend::{Storage, View, cpu::Buffer},
    device::Device,
    dtype::{DType, Element},
    error::{Error, Result},
    layout::Layout,
    op::Op,
    shape::Shape,
};
use std::sync::Arc;

/// An n-dimensional array on a device. Operations return new tensors; views share memory and never copy.
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

struct Inner {
    storage: Storage,
    layout: Layout,
    dtype: DType,
    device: Device,
}

impl Tensor {
    pub(crate) fn from_parts(storage: Storage, layout: Layout, dtype: DType, device: Device) -> Self {
        Self(Arc::new(Inner { storage, layout, dtype, device }))
    }
    /// From elements in row-major order.
    pub fn from_slice<T: Element>(values: &[T], shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        Self::from_buffer(Buffer::from_slice(values)?, T::DTYPE, shape, device)
    }
    /// From raw bytes in row-major order, of any dtype, block formats too.
    pub fn from_buffer(bytes: Buffer, dtype: DType, shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        let shape = shape.into();
        let last = shape.dims().last().copied().unwrap_or(1);
        let want = shape.checked_elements().and_then(|n| dtype.bytes_for(n));
        if want != Some(bytes.len()) || !last.is_multiple_of(dtype.block_len()) {
            let message = format!("{} bytes do not make a {dtype} tensor of shape {shape}", bytes.len());
            return Err(Error::shape("from_buffer", message));
        }
        let storage = device.backend().upload(bytes, dtype)?;
        Ok(Self::from_parts(storage, Layout::contiguous(shape), dtype, device.clone()))
    }
    /// Sizes.
    pub fn shape(&self) -> &Shape {
        self.0.layout.shape()
    }
    /// Sizes as a slice.
    pub fn dims(&self) -> &[usize] {
        self.0.layout.dims()
    }
    /// Element type.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }
    /// Where it lives.
    pub fn device(&self) -> &Device {
        &self.0.device
    }
    /// The view over its memory.
    pub fn layout(&self) -> &Layout {
        &self.0.layout
    }
    /// Its memory, shared with its views.
    pub(crate) fn storage(&self) -> &Storage {
        &self.0.storage
    }
    pub(crate) fn view(&self) -> View<'_> {
        View { storage: &self.0.storage, layout: &self.0.layout, dtype: self.0.dtype }
    }
    /// Runs an operation: infers, executes or decomposes. The one place where autograd will record.
    pub fn apply(op: Op, inputs: &[&Tensor]) -> Result<Tensor> {
        let metas: Vec<_> = inputs.iter().map(|t| (t.layout(), t.dtype())).collect();
        let meta = op.infer(&metas)?;
        let Some(first) = inputs.first() else {
            return Err(Error::argument(op.name(), "no inputs"));
        };
        let device = first.device();
        if let Some(other) = inputs.iter().find(|t| !t.device().same(device)) {
            let message = format!("operands on {device} and {}; move one with to_device", other.device());
            return Err(Error::Device { op: op.name(), message });
        }
        let views: Vec<_> = inputs.iter().map(|t| t.view()).collect();
        if let Some(storage) = device.backend().execute(&op, &views, &meta)? {
            return Ok(Self::from_parts(storage, Layout::contiguous(meta.shape), meta.dtype, device.clone()));
        }
        op.decompose(inputs)
            .unwrap_or_else(|| Err(Error::Device { op: op.name(), message: format!("{device} has no kernel for it") }))
    }
    /// The elements in row-major order, read back from the device.
    pub async fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if T::DTYPE != self.dtype() {
            return Err(Error::dtype("to_vec", format!("tensor is {}, not {}", self.dtype(), T::DTYPE)));
        }
        let buffer = self.device().backend().read(self.view()).await?;
        Ok(buffer.as_slice::<T>()?.to_vec())
    }
}
