//! The backend contract: allocate, upload, execute an [`Op`], write into a slice, read back.
//!
//! A backend runs what it has kernels for; `execute` answers `None` for the rest, and the caller runs the operation's
//! decomposition instead (see [`crate::op`]). So a new backend is complete before it is fast.

pub mod cpu;
#[cfg(feature = "webgpu")]
pub mod webgpu;

use crate::{dtype::DType, error::Result, layout::Layout, op::Op, shape::Shape};
use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

/// A future that borrows its device; not `Send`, since a browser's GPU objects are not.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Elements being read: reading has begun. It owns what it needs of the device.
#[cfg(not(target_arch = "wasm32"))]
pub type Reading = Pin<Box<dyn Future<Output = Result<cpu::Buffer>> + Send>>;
/// Elements being read: reading has begun. It owns what it needs of the device.
#[cfg(target_arch = "wasm32")]
pub type Reading = LocalFuture<'static, Result<cpu::Buffer>>;

/// Device memory holding the elements of one or more tensors (views share it).
pub trait DeviceBuffer: Any + Send + Sync + fmt::Debug {
    /// Size in bytes.
    fn bytes(&self) -> usize;
    /// For downcasting by the backend that made it.
    fn as_any(&self) -> &dyn Any;
    /// For taking the concrete buffer out of a shared handle.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// Shared device memory.
pub type Storage = Arc<dyn DeviceBuffer>;

/// An operand: memory, the view over it, and the dtype of its elements.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Memory.
    pub storage: &'a Storage,
    /// View over it.
    pub layout: &'a Layout,
    /// Element type.
    pub dtype: DType,
}

/// Shape and dtype of an operation's result, as inferred by [`Op::infer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Result shape; its storage is contiguous.
    pub shape: Shape,
    /// Result dtype.
    pub dtype: DType,
}

/// A tensor that takes its bytes in pieces, in row-major order, so that no memory of the host ever holds all of them.
pub trait Upload {
    /// The next bytes: a multiple of four unless they are the last. Returns when there is room for more.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>>;
    /// As [`Upload::write`], of any number of bytes in JavaScript's memory, which do not pass through WebAssembly's.
    #[cfg(target_arch = "wasm32")]
    fn write_js<'a>(&'a mut self, bytes: &'a js_sys::Uint8Array) -> LocalFuture<'a, Result<()>>;
    /// The memory, when all bytes have come.
    fn finish(self: Box<Self>) -> Result<Storage>;
}

/// What a device must be able to do. Arguments have been checked: `execute` sees inputs that [`Op::infer`] accepted.
pub trait Backend: Send + Sync + 'static {
    /// `cpu`, `webgpu`, `cuda`, `metal`.
    fn name(&self) -> &'static str;
    /// Can tensors of this dtype live here?
    fn supports(&self, dtype: DType) -> bool {
        let _ = dtype;
        true
    }
    /// For what only one kind of backend has.
    fn as_any(&self) -> &dyn Any;
    /// Takes the elements of a tensor of that shape in row-major order (whole blocks for block formats).
    fn upload(&self, bytes: cpu::Buffer, dtype: DType, shape: &Shape) -> Result<Storage>;
    /// Memory that is filled in pieces. `None`: this backend takes such tensors whole.
    fn begin_upload(&self, dtype: DType, shape: &Shape) -> Result<Option<Box<dyn Upload>>> {
        let _ = (dtype, shape);
        Ok(None)
    }
    /// Runs `op`; the result is contiguous, of shape and dtype `out`. `None`: no kernel, decompose instead.
    fn execute(&self, op: &Op, inputs: &[View<'_>], out: &Meta) -> Result<Option<Storage>>;
    /// Writes `source` (any layout, same shape and dtype) into the view `layout` of `target`. In place when nobody
    /// else holds `target`, into a copy otherwise.
    fn write_slice(&self, target: Storage, layout: &Layout, source: &View<'_>) -> Result<Storage>;
    /// Begins to read the view's elements in row-major order. What is computed afterwards is not waited for.
    fn read(&self, view: View<'_>) -> Reading;
}
