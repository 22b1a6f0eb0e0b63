//! The adapter and its device: limits, features, and errors, which WebGPU reports late and by callback.

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
    /// Times of kernels.
    pub timestamps: bool,
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
    faults: Arc<Mutex<Faults>>,
    /// Error scopes whose results are not known yet, with what they were around.
    scopes: Mutex<Vec<(String, Scope)>>,
}

#[derive(Default)]
struct Faults {
    /// Errors outside of any scope, in order.
    errors: Vec<wgpu::Error>,
    lost: Option<String>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(message: impl Into<String>) -> Error {
    Error::Device { op: "webgpu", message: message.into() }
}

/// What WebGPU reports, as an error of this crate.
fn typed(what: &str, error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory { what: format!("{what} on the GPU"), bytes: 0 },
        other => failed(format!("{what}: {other}")),
    }
}

impl Gpu {
    /// The adapter that the system prefers for speed, with all its limits.
    pub async fn open() -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
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
        let (limits, found) = (adapter.limits(), adapter.get_info());
        let wanted = wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
        let features = adapter.features() & wanted;
        #[cfg_attr(not(target_arch = "wasm32"), expect(unused_mut, reason = "the browser tells more"))]
        let mut info = AdapterInfo {
            name: found.name,
            api: format!("{:?}", found.backend).to_lowercase(),
            driver: format!("{} {}", found.driver, found.driver_info).trim().to_string(),
            software: found.device_type == wgpu::DeviceType::Cpu,
            shader_f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            max_buffer: limits.max_buffer_size,
            max_binding: limits.max_storage_buffer_binding_size,
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("votive"),
            required_features: features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (device, queue) =
            adapter.request_device(&descriptor).await.map_err(|e| failed(format!("{}: {e}", info.name)))?;
        #[cfg(target_arch = "wasm32")]
        {
            drop(offered);
            info.name = browser.name();
            info.software |= browser.is_software();
            info.subgroups = super::browser::has_feature(&device, "subgroups");
        }
        let faults = Arc::new(Mutex::new(Faults::default()));
        let reported = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error| locked(&reported).errors.push(error)));
        let reported = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            locked(&reported).lost = Some(format!("{reason:?}: {message}"));
        });
        Ok(Self { device, queue, limits, info, faults, scopes: Mutex::default() })
    }

    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// A buffer, or why there is none, as far as that is known at once.
    pub fn buffer(&self, what: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        self.alive()?;
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        self.watch(what, Box::pin(memory.pop())).map_err(|error| match error {
            Error::OutOfMemory { what, .. } => Error::OutOfMemory { what, bytes: size },
            other => other,
        })?;
        Ok(buffer)
    }

    /// A compiled program. In a browser what is wrong with it is known only later, and reported by [`Gpu::check`].
    pub fn pipeline(&self, name: &str, text: &str, layout: &wgpu::PipelineLayout) -> Result<wgpu::ComputePipeline> {
        self.alive()?;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every workgroup variable is written before it is read.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        self.watch(name, Box::pin(scope.pop()))?;
        Ok(pipeline)
    }

    /// The result of an error scope if it is known, else it is kept until it is.
    fn watch(&self, what: &str, mut scope: Scope) -> Result<()> {
        match scope.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => Ok(()),
            Poll::Ready(Some(error)) => Err(typed(what, &error)),
            Poll::Pending => {
                locked(&self.scopes).push((what.to_string(), scope));
                Ok(())
            }
        }
    }

    /// Is the device still there?
    pub fn alive(&self) -> Result<()> {
        match &locked(&self.faults).lost {
            Some(reason) => Err(Error::DeviceLost(format!("{}: {reason}", self.info.name))),
            None => Ok(()),
        }
    }

    /// Everything that went wrong since this was last asked, the first of it as an error.
    pub async fn check(&self) -> Result<()> {
        self.alive()?;
        let scopes = std::mem::take(&mut *locked(&self.scopes));
        for (what, scope) in scopes {
            if let Some(error) = scope.await {
                return Err(typed(&what, &error));
            }
        }
        self.check_reported()
    }

    /// As [`Gpu::check`], of what needs no waiting.
    pub fn check_reported(&self) -> Result<()> {
        self.alive()?;
        match std::mem::take(&mut locked(&self.faults).errors).first() {
            Some(error) => Err(typed("a command", error)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({})", self.info.name)
    }
}
