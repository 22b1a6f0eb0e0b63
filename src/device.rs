//! Where tensors live and what runs their operations.

use crate::{
    backend::{Backend, cpu::CpuBackend},
    error::{Error, Result},
};
use std::{fmt, sync::Arc};

/// A device: cheap to clone; tensors of different devices do not mix.
#[derive(Clone)]
pub struct Device(Arc<dyn Backend>);

impl Device {
    /// The processor: always there. One thread pool is shared by all clones.
    pub fn cpu() -> Self {
        use std::sync::OnceLock;
        static CPU: OnceLock<Device> = OnceLock::new();
        CPU.get_or_init(|| Self(Arc::new(CpuBackend::new()))).clone()
    }
    /// The GPU through WebGPU. Not in this build yet.
    pub async fn webgpu() -> Result<Self> {
        Err(not_built("webgpu"))
    }
    /// An NVIDIA GPU. Not in this build yet.
    pub fn cuda(_ordinal: usize) -> Result<Self> {
        Err(not_built("cuda"))
    }
    /// An Apple GPU. Not in this build yet.
    pub fn metal(_ordinal: usize) -> Result<Self> {
        Err(not_built("metal"))
    }
    /// The fastest device that this build and machine have.
    pub async fn best() -> Self {
        match Self::webgpu().await {
            Ok(device) => device,
            Err(_) => Self::cpu(),
        }
    }
    /// Is this the processor?
    pub fn is_cpu(&self) -> bool {
        self.0.name() == "cpu"
    }
    /// One with a backend of a test's own.
    #[cfg(test)]
    pub(crate) fn of(backend: Arc<dyn Backend>) -> Self {
        Self(backend)
    }
    /// The backend that runs operations.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.0
    }
    /// The same device (not merely the same kind)?
    pub fn same(&self, other: &Device) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn not_built(name: &'static str) -> Error {
    Error::Device { op: "device", message: format!("this build of votive has no {name} backend") }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
