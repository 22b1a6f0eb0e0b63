//! The adapter and its device: limits, features, and errors, which WebGPU reports late and by callback.

use super::{tiles::Tiles, units::Units};
use crate::error::{Error, Result};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What an adapter is and can do.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AdapterInfo {
    /// As the driver calls it.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `browser-webgpu`.
    pub api: String,
    /// Driver and version, where they are told.
    pub driver: String,
    /// Is it an emulation on the CPU?
    pub software: bool,
    /// Half precision in shaders.
    pub shader_f16: bool,
    /// Operations among the threads that run in step.
    pub subgroups: bool,
    /// Products of four bytes at a time, by the GPU itself.
    pub packed_dot: bool,
    /// Times of kernels.
    pub timestamps: bool,
    /// Products of many rows by matrix units: the GPU has them, what they do was tried, and it is no emulation.
    pub matrices: bool,
    /// Largest buffer, in bytes.
    pub max_buffer: u64,
    /// Largest part of a buffer that a kernel can see, in bytes.
    pub max_binding: u64,
}

type Scope = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;

/// A device with its queue, and what went wrong on it.
pub(super) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub limits: wgpu::Limits,
    pub info: AdapterInfo,
    /// How products of many rows are computed, if that is not left to choice.
    pub tiles: Option<Tiles>,
    /// The matrix units that are used.
    pub units: Option<Units>,
    /// Most threads that run in step.
    pub largest_subgroup: u32,
    fault: Arc<Mutex<Option<Fault>>>,
    /// Error scopes whose results are not known yet, with what they were around and how many bytes that asked for.
    scopes: Mutex<Vec<(String, u64, Scope)>>,
}

/// What may be asked of a GPU's use.
///
/// ```no_run
/// use votive::{Device, backend::webgpu::{Tiles, WebGpuOptions}};
/// # async fn open() -> votive::Result<()> {
/// let exact = Device::webgpu_with(WebGpuOptions { tiles: Some(Tiles::Float) }).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct WebGpuOptions {
    /// How products of many rows are computed; `None` for what the adapter is best at.
    pub tiles: Option<Tiles>,
}

/// How a device is opened. What is lowered here is lowered for WebGPU's own checks too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// Fresh memory is filled with NaN, so that what was not written shows.
    pub poison: bool,
    /// Nothing is used that some adapters do not have.
    pub plain: bool,
    /// No tensor's buffer is larger than so many bytes, and no part of one that a kernel sees.
    pub max_binding: u64,
    /// All buffers together take no more than so many bytes.
    pub max_memory: u64,
    /// How products of many rows are computed, whatever the adapter is best at.
    pub tiles: Option<Tiles>,
    /// How many threads run in step at most, as far as is known before a kernel runs; none depends on it for its result.
    pub largest_subgroup: Option<u32>,
}

#[cfg(any(test, feature = "conformance"))]
impl Opening {
    /// With poison, and no other difference.
    pub fn poisoned() -> Self {
        Self { poison: true, ..Self::default() }
    }
}

impl Opening {
    /// May matrix units be used? Those of an emulation are slower than what they stand for.
    pub fn wants_units(self, software: bool) -> bool {
        !self.plain && self.tiles.map_or(!software, |tiles| tiles == Tiles::Matrices)
    }
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            poison: false,
            plain: false,
            max_binding: u64::MAX,
            max_memory: u64::MAX,
            tiles: None,
            largest_subgroup: None,
        }
    }
}

/// What buffers that no kernel writes may need: uniforms, staging.
const OWN_BUFFERS: u64 = 1 << 20;

/// Percent of what a driver says there is, above which natively no buffer is made: drivers that are asked for more may end the
/// process, or lose the device.
const MEMORY_USED: u8 = 95;

/// What went wrong when it was too late to tell the one who asked: a batch may not have run, so no value computed from here on
/// can be trusted. The device stays unusable and is to be opened again.
#[derive(Clone, Debug)]
enum Fault {
    Lost(String),
    OutOfMemory(String, u64),
    Refused(String),
}

impl Fault {
    fn of(what: &str, bytes: u64, error: &wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory(format!("{what} on the GPU"), bytes),
            other => Self::Refused(format!("{what}: {other}")),
        }
    }
    fn error(self, adapter: &str) -> Error {
        match self {
            Self::Lost(reason) => Error::DeviceLost(format!("{adapter}: {reason}")),
            Self::OutOfMemory(what, bytes) => Error::OutOfMemory { what, bytes },
            Self::Refused(message) => failed(message),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(message: impl Into<String>) -> Error {
    Error::Device { op: "webgpu", message: message.into() }
}

impl Gpu {
    /// The adapter that the system prefers for speed, with all its limits.
    pub async fn open(opening: Opening) -> Result<Self> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.memory_budget_thresholds.for_resource_creation = Some(MEMORY_USED);
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        #[cfg(target_arch = "wasm32")]
        let browser = super::browser::BrowserAdapter::request().await?;
        #[cfg(target_arch = "wasm32")]
        let offered = browser.offer()?;
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|e| failed(format!("no adapter: {e}; is there a driver for Vulkan, Metal or Direct3D 12?")))?;
        let (mut limits, found) = (adapter.limits(), adapter.get_info());
        limits.max_buffer_size = limits.max_buffer_size.min(opening.max_binding.max(OWN_BUFFERS));
        limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(opening.max_binding);
        let wanted = wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
        let wanted = if opening.plain { wgpu::Features::empty() } else { wanted };
        let features = adapter.features() & wanted;
        let software = found.device_type == wgpu::DeviceType::Cpu;
        #[cfg(target_arch = "wasm32")]
        let software = software || browser.is_software();
        let wants_units = opening.wants_units(software);
        #[cfg(not(target_arch = "wasm32"))]
        let units = Units::of(&adapter, features, wants_units);
        #[cfg(target_arch = "wasm32")]
        let units = Units::best(if wants_units { browser.units() } else { Vec::new() }, features);
        #[cfg(not(target_arch = "wasm32"))]
        let features = if units.is_some() { features | super::units::NATIVE } else { features };
        #[cfg_attr(not(target_arch = "wasm32"), expect(unused_mut, reason = "the browser tells more"))]
        let mut info = AdapterInfo {
            name: found.name,
            api: format!("{:?}", found.backend).to_lowercase(),
            driver: format!("{} {}", found.driver, found.driver_info).trim().to_string(),
            software,
            shader_f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            #[cfg(not(target_arch = "wasm32"))]
            packed_dot: !opening.plain && super::dots::are_native(&adapter),
            #[cfg(target_arch = "wasm32")]
            packed_dot: !opening.plain && browser.has_native_dots(),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            matrices: false,
            max_buffer: limits.max_buffer_size,
            max_binding: limits.max_storage_buffer_binding_size,
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("votive"),
            required_features: features,
            required_limits: limits.clone(),
            #[cfg(not(target_arch = "wasm32"))]
            experimental_features: super::units::experimental(units.is_some()),
            ..Default::default()
        };
        let (device, queue) =
            adapter.request_device(&descriptor).await.map_err(|e| failed(format!("{}: {e}", info.name)))?;
        #[cfg(target_arch = "wasm32")]
        {
            drop(offered);
            info.name = browser.name();
            info.subgroups = !opening.plain && super::browser::has_feature(&device, "subgroups");
        }
        let fault = Arc::new(Mutex::new(None));
        let reported = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            locked(&reported).get_or_insert(Fault::of("a command", 0, &error));
        }));
        let reported = fault.clone();
        device.set_device_lost_callback(move |reason, message| {
            // What else went wrong may follow from this.
            *locked(&reported) = Some(Fault::Lost(format!("{reason:?}: {message}")));
        });
        #[cfg(target_arch = "wasm32")]
        let units = units.filter(|_| super::browser::has_feature(&device, super::browser::MATRICES));
        let known = match found.subgroup_max_size {
            // Metal's limits are those of all its GPUs; those with matrix units have 32.
            _ if found.backend == wgpu::Backend::Metal => 32,
            0 => 128,
            size => size,
        };
        let (tiles, largest_subgroup) = (opening.tiles, opening.largest_subgroup.unwrap_or(known));
        let mut gpu =
            Self { device, queue, limits, info, tiles, units, largest_subgroup, fault, scopes: Mutex::default() };
        if let Some(units) = units {
            gpu.info.matrices = units.are_right(&gpu).await?;
            gpu.units = gpu.units.filter(|_| gpu.info.matrices);
        }
        Ok(gpu)
    }

    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// A buffer, or why there is none, as far as that is known at once.
    pub fn buffer(&self, what: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let create = || self.device.create_buffer(&descriptor);
        self.scoped(what, size, wgpu::ErrorFilter::Validation, || {
            self.scoped(what, size, wgpu::ErrorFilter::OutOfMemory, create)
        })?
    }

    /// A compiled program. In a browser what is wrong with it is known only later, and reported by [`Gpu::check`].
    pub fn pipeline(&self, name: &str, text: &str, layout: &wgpu::PipelineLayout) -> Result<wgpu::ComputePipeline> {
        self.scoped(name, 0, wgpu::ErrorFilter::Validation, || self.compiled(name, text, layout))
    }

    fn compiled(&self, name: &str, text: &str, layout: &wgpu::PipelineLayout) -> wgpu::ComputePipeline {
        self.created(name, &self.module(name, text), layout)
    }

    /// A program that is not compiled yet.
    pub fn module(&self, name: &str, text: &str) -> wgpu::ShaderModule {
        self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        })
    }

    pub fn created(
        &self,
        name: &str,
        module: &wgpu::ShaderModule,
        layout: &wgpu::PipelineLayout,
    ) -> wgpu::ComputePipeline {
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(layout),
            module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every workgroup variable is written before it is read.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        })
    }

    /// What `act` gives, unless WebGPU refuses it. Natively that is known at once; in a browser later, and then [`Gpu::check`]
    /// tells.
    pub fn scoped<T>(&self, what: &str, bytes: u64, filter: wgpu::ErrorFilter, act: impl FnOnce() -> T) -> Result<T> {
        match self.watched(what, bytes, filter, act)? {
            (done, None) => Ok(done),
            (_, Some(fault)) => Err(fault.error(&self.info.name)),
        }
    }

    /// Does what values depend on that others have already been promised: where it is refused, the device is of no use.
    pub fn commit<T>(&self, what: &str, act: impl FnOnce() -> T) -> Result<T> {
        let (done, fault) = self.watched(what, 0, wgpu::ErrorFilter::Validation, act)?;
        if let Some(fault) = fault {
            locked(&self.fault).get_or_insert(fault);
        }
        self.alive()?;
        Ok(done)
    }

    fn watched<T>(
        &self,
        what: &str,
        bytes: u64,
        filter: wgpu::ErrorFilter,
        act: impl FnOnce() -> T,
    ) -> Result<(T, Option<Fault>)> {
        self.alive()?;
        let scope = self.device.push_error_scope(filter);
        let done = act();
        let mut scope: Scope = Box::pin(scope.pop());
        let fault = match scope.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(error) => error.map(|error| Fault::of(what, bytes, &error)),
            Poll::Pending => {
                locked(&self.scopes).push((what.to_string(), bytes, scope));
                None
            }
        };
        Ok((done, fault))
    }

    /// Is the device still there, and are its values to be trusted?
    pub fn alive(&self) -> Result<()> {
        match locked(&self.fault).clone() {
            Some(fault) => Err(fault.error(&self.info.name)),
            None => Ok(()),
        }
    }

    /// Waits until it is known whether all that was asked for so far was accepted.
    pub async fn check(&self) -> Result<()> {
        let scopes = std::mem::take(&mut *locked(&self.scopes));
        for (what, bytes, scope) in scopes {
            if let Some(error) = scope.await {
                locked(&self.fault).get_or_insert(Fault::of(&what, bytes, &error));
            }
        }
        self.alive()
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({})", self.info.name)
    }
}
