//! Where tensors live and what runs their operations.

use crate::{
    backend::{Backend, cpu::CpuBackend},
    dtype::DType,
    error::{Error, Result},
};
#[cfg(feature = "webgpu")]
use crate::{
    backend::{
        Storage,
        webgpu::{AdapterInfo, DevicePeaks, DeviceStats, KernelTime, Opening, WebGpuBackend, WebGpuOptions},
    },
    shape::Shape,
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
    /// The GPU through WebGPU: over Vulkan, Metal or Direct3D 12, or the browser's. All calls give the same device, until it is
    /// lost.
    ///
    /// # Errors
    /// When there is no adapter, or this build lacks the feature `webgpu`.
    #[cfg(feature = "webgpu")]
    pub async fn webgpu() -> Result<Self> {
        use std::sync::{Mutex, PoisonError};
        static OPEN: Mutex<Option<Device>> = Mutex::new(None);
        let open = || OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = open().as_ref().filter(|d| d.gpu().is_some_and(WebGpuBackend::is_alive)) {
            return Ok(device.clone());
        }
        let device = Self(Arc::new(WebGpuBackend::open().await?));
        *open() = Some(device.clone());
        Ok(device)
    }
    /// As [`Device::webgpu`], but used in a way that is not left to choice: a device of its own with each call.
    ///
    /// # Errors
    /// As [`Device::webgpu`].
    #[cfg(feature = "webgpu")]
    pub async fn webgpu_with(options: WebGpuOptions) -> Result<Self> {
        let opening = Opening { tiles: options.tiles, ..Opening::default() };
        Ok(Self(Arc::new(WebGpuBackend::open_with(opening).await?)))
    }
    /// The GPU through WebGPU: not in this build.
    ///
    /// # Errors
    /// Always; the feature `webgpu` turns it on.
    #[cfg(not(feature = "webgpu"))]
    pub async fn webgpu() -> Result<Self> {
        Err(not_built("webgpu"))
    }
    /// What a GPU's adapter is and can do; `None` for other devices.
    #[cfg(feature = "webgpu")]
    pub fn adapter(&self) -> Option<&AdapterInfo> {
        Some(self.gpu()?.info())
    }
    /// What a GPU has done since it was opened; `None` for other devices.
    #[cfg(feature = "webgpu")]
    pub fn stats(&self) -> Option<DeviceStats> {
        Some(self.gpu()?.stats())
    }
    /// Begins to measure how long a GPU runs each kernel, which slows it down; `false` where there is no clock for that.
    ///
    /// # Errors
    /// When there is no memory for it.
    #[cfg(feature = "webgpu")]
    pub fn begin_timing(&self) -> Result<bool> {
        self.gpu().map_or(Ok(false), WebGpuBackend::begin_timing)
    }
    /// Ends what [`Device::begin_timing`] began, and gives the times, the longest first.
    ///
    /// # Errors
    /// When the device was lost.
    #[cfg(feature = "webgpu")]
    pub async fn end_timing(&self) -> Result<Vec<KernelTime>> {
        match self.gpu() {
            Some(gpu) => gpu.end_timing().await,
            None => Ok(Vec::new()),
        }
    }
    /// Measures what a GPU can do at most, for judging what a model makes of it. It takes about a second, needs up to 1 GiB of the
    /// GPU's memory meanwhile, and ends what [`Device::begin_timing`] began. Nothing else should run on the GPU.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on other devices; [`Error::OutOfMemory`] when even 16 MiB are not to be had;
    /// [`Error::DeviceLost`].
    #[cfg(feature = "webgpu")]
    pub async fn measure_peaks(&self) -> Result<DevicePeaks> {
        match self.gpu() {
            Some(gpu) => gpu.measure_peaks().await,
            None => Err(Error::Unsupported(format!("measuring what {self} can do at most: it is no GPU"))),
        }
    }
    /// Begins to compile the programs that `work` needs, on a GPU, which `work` is given a stand-in for: nothing is computed
    /// there, and what is read is one or zero. Each call of the other argument ends a stage of it: those begun first are
    /// compiled first. Elsewhere nothing is to be prepared.
    #[cfg(feature = "webgpu")]
    pub(crate) fn prepare(&self, work: impl FnOnce(&Device, &mut dyn FnMut()) -> Result<()>) -> Result<Preparing> {
        let Some(gpu) = self.gpu() else { return Ok(Preparing::default()) };
        let rehearsal = Arc::new(gpu.rehearsal()?);
        let mut ends = Vec::new();
        work(&Self(rehearsal.clone()), &mut || ends.push(rehearsal.noted()))?;
        Ok(Preparing(Some(gpu.compile(&rehearsal, &ends))))
    }
    /// A tensor's memory without its bytes, on a stand-in of [`Device::prepare`].
    #[cfg(feature = "webgpu")]
    pub(crate) fn blank(&self, dtype: DType, shape: &Shape) -> Result<Storage> {
        let no_gpu = || Error::Device { op: "prepare", message: format!("{self} has no stand-in") };
        self.gpu().ok_or_else(no_gpu)?.blank(dtype, shape)
    }
    #[cfg(feature = "webgpu")]
    fn gpu(&self) -> Option<&WebGpuBackend> {
        self.0.as_any().downcast_ref()
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
    /// Can tensors of this dtype live here?
    pub fn supports(&self, dtype: DType) -> bool {
        self.0.supports(dtype)
    }
    /// f64 where there is one, else f32.
    pub(crate) fn widest_float(&self) -> DType {
        if self.supports(DType::F64) { DType::F64 } else { DType::F32 }
    }
    /// Is this the processor?
    pub fn is_cpu(&self) -> bool {
        self.0.name() == "cpu"
    }
    /// One with a backend of a test's own.
    #[cfg(any(test, all(target_arch = "wasm32", feature = "conformance", feature = "webgpu")))]
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

/// What [`Device::prepare`] began.
#[cfg(feature = "webgpu")]
#[derive(Default)]
pub(crate) struct Preparing(Option<crate::backend::webgpu::Compiling>);

#[cfg(feature = "webgpu")]
impl Preparing {
    /// Waits until the stages up to this one are done.
    ///
    /// # Errors
    /// When the device refuses a program.
    pub async fn ready(&self, stage: usize) -> Result<()> {
        match &self.0 {
            Some(compiling) => compiling.ready(stage).await,
            None => Ok(()),
        }
    }
}

fn not_built(name: &'static str) -> Error {
    Error::Device {
        op: "device",
        message: format!("this build of votive has no {name} backend; the feature `{name}` turns it on"),
    }
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
