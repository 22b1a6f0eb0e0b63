//! The processor: reference and fast kernels, by operation.

mod buffer;
pub mod matmul;
pub mod pool;
pub mod simd;

pub use buffer::Buffer;

use super::{Backend, DeviceBuffer, LocalFuture, Meta, Storage, View};
use crate::{dtype::DType, error::Result, layout::Layout, op::Op};

/// Runs operations on the processor.
#[derive(Debug, Default)]
pub struct CpuBackend {}

impl CpuBackend {
    /// With one thread per core natively, one thread in a browser without shared memory.
    pub fn new() -> Self {
        Self {}
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }
    fn upload(&self, bytes: Buffer, _dtype: DType) -> Result<Storage> {
        Ok(std::sync::Arc::new(bytes))
    }
    fn execute(&self, _op: &Op, _inputs: &[View<'_>], _out: &Meta) -> Result<Option<Storage>> {
        Ok(None)
    }
    fn write_slice(&self, target: Storage, _layout: &Layout, _source: &View<'_>) -> Result<Storage> {
        Ok(target)
    }
    fn read<'a>(&'a self, _view: View<'a>) -> LocalFuture<'a, Result<Buffer>> {
        Box::pin(async { Ok(Buffer::default()) })
    }
}

impl DeviceBuffer for Buffer {
    fn bytes(&self) -> usize {
        self.len()
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
    fn into_any(self: std::sync::Arc<Self>) -> std::sync::Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}
