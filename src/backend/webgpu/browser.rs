//! What wgpu does not do for us in browsers: requesting subgroups, telling what the adapter is, and compiling programs side by
//! side.
//!
//! wgpu has no name for the feature `subgroups` in browsers. So the adapter is asked for here, its `requestDevice` gets a
//! property of its own that adds the features, and wgpu, when it asks the browser for an adapter, is given this one.

use super::{device::Gpu, units::Units};
use crate::error::{Error, Result};
use js_sys::{Array, Function, Object, Promise, Reflect};
use std::{cell::RefCell, rc::Rc};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;

/// Features that are requested where the adapter has them, beside those that wgpu knows.
const FEATURES: [&str; 2] = ["subgroups", MATRICES];

/// What Chromium calls matrix units. It has them where a user allows what is experimental.
pub(super) const MATRICES: &str = "chromium-experimental-subgroup-matrix";

/// An adapter of the browser, before a device is made of it.
pub(super) struct BrowserAdapter {
    /// `navigator.gpu`
    gpu: JsValue,
    adapter: JsValue,
}

fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

fn method(object: &JsValue, name: &str) -> Result<Function> {
    get(object, name).dyn_into().map_err(|_| failed(format!("the browser's object has no {name}")))
}

fn text(object: &JsValue, key: &str) -> String {
    get(object, key).as_string().unwrap_or_default()
}

fn failed(message: impl Into<String>) -> Error {
    Error::Unsupported(format!("WebGPU: {}", message.into()))
}

fn thrown(value: &JsValue) -> Error {
    let message = text(value, "message");
    failed(if message.is_empty() { "the browser refused".into() } else { message })
}

/// `has` of a set.
fn has_entry(set: &JsValue, entry: &str) -> bool {
    let has = method(set, "has").and_then(|has| has.call1(set, &entry.into()).map_err(|e| thrown(&e)));
    has.is_ok_and(|answer| answer.is_truthy())
}

/// Is a feature among an adapter's or a device's?
fn has(owner: &JsValue, feature: &str) -> bool {
    has_entry(&get(owner, "features"), feature)
}

impl BrowserAdapter {
    /// The adapter that the system prefers for speed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is no WebGPU, or no adapter.
    pub async fn request() -> Result<Self> {
        let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
        if !gpu.is_object() {
            return Err(failed("this browser, or a page that is not served by https, has no navigator.gpu"));
        }
        let options = Object::new();
        let _ = Reflect::set(&options, &"powerPreference".into(), &"high-performance".into());
        let promise = method(&gpu, "requestAdapter")?.call1(&gpu, &options).map_err(|e| thrown(&e))?;
        let adapter = JsFuture::from(Promise::resolve(&promise)).await.map_err(|e| thrown(&e))?;
        if !adapter.is_object() {
            return Err(failed(
                "this browser gives no adapter: no GPU that it supports, or it is blocked or switched off",
            ));
        }
        Ok(Self { gpu, adapter })
    }

    /// What the browser tells of it: the description, or vendor and architecture.
    pub fn name(&self) -> String {
        let info = get(&self.adapter, "info");
        let parts = [text(&info, "vendor"), text(&info, "architecture"), text(&info, "device")];
        let known: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        match text(&info, "description") {
            name if !name.is_empty() => name,
            _ if known.is_empty() => "an adapter of which the browser tells nothing".into(),
            _ => known.join(" "),
        }
    }

    /// Is it an emulation on the CPU?
    pub fn is_software(&self) -> bool {
        let info = get(&self.adapter, "info");
        let fallback =
            get(&info, "isFallbackAdapter").is_truthy() || get(&self.adapter, "isFallbackAdapter").is_truthy();
        fallback || ["swiftshader", "llvmpipe", "lavapipe"].contains(&&*text(&info, "architecture"))
    }

    /// Does it multiply four bytes at a time, and has the browser a name for that?
    pub fn has_native_dots(&self) -> bool {
        let (info, named) = (get(&self.adapter, "info"), get(&self.gpu, "wgslLanguageFeatures"));
        has_entry(&named, "packed_4x8_integer_dot_product")
            && super::dots::are_native_to(&text(&info, "vendor"), &text(&info, "architecture"))
    }

    /// Matrices that it multiplies and sums up in f32.
    pub fn units(&self) -> Vec<Units> {
        if !has(&self.adapter, "subgroups") || !has(&self.adapter, MATRICES) {
            return Vec::new();
        }
        let configurations = get(&get(&self.adapter, "info"), "subgroupMatrixConfigs");
        let Ok(Some(configurations)) = js_sys::try_iter(&configurations) else { return Vec::new() };
        let size = |of: &JsValue, key| get(of, key).as_f64().unwrap_or(0.0) as u32;
        let unit = |of: JsValue| {
            let halves = match &*text(&of, "componentType") {
                "f16" => true,
                "f32" => false,
                _ => return None,
            };
            let (rows, columns, depth) = (size(&of, "M"), size(&of, "N"), size(&of, "K"));
            (text(&of, "resultComponentType") == "f32").then_some(Units { rows, columns, depth, halves })
        };
        configurations.flatten().filter_map(unit).collect()
    }

    /// Makes wgpu take this adapter, and add features to its own, for as long as the result lives.
    ///
    /// # Errors
    /// When the browser's objects are not what the standard says.
    pub fn offer(&self) -> Result<Offered> {
        let request_device = method(&self.adapter, "requestDevice")?;
        let adapter = self.adapter.clone();
        let with_features = Closure::<dyn FnMut(JsValue) -> JsValue>::new(move |descriptor: JsValue| {
            let descriptor = if descriptor.is_object() { descriptor } else { Object::new().into() };
            let features = Array::new();
            if let Some(wanted) = get(&descriptor, "requiredFeatures").dyn_ref::<Array>() {
                for feature in wanted.iter() {
                    features.push(&feature);
                }
            }
            for feature in FEATURES.into_iter().filter(|feature| has(&adapter, feature)) {
                features.push(&feature.into());
            }
            let _ = Reflect::set(&descriptor, &"requiredFeatures".into(), &features);
            request_device.call1(&adapter, &descriptor).unwrap_or_else(|error| Promise::reject(&error).into())
        });
        let adapter = self.adapter.clone();
        let this_adapter =
            Closure::<dyn FnMut(JsValue) -> JsValue>::new(move |_: JsValue| Promise::resolve(&adapter).into());
        for (object, name, closure) in
            [(&self.adapter, "requestDevice", &with_features), (&self.gpu, "requestAdapter", &this_adapter)]
        {
            Reflect::set(object, &name.into(), closure.as_ref()).map_err(|e| thrown(&e))?;
        }
        Ok(Offered { gpu: self.gpu.clone(), adapter: self.adapter.clone(), _closures: [with_features, this_adapter] })
    }
}

/// What stands in for the browser's own methods; they are back when this is dropped.
pub(super) struct Offered {
    gpu: JsValue,
    adapter: JsValue,
    _closures: [Closure<dyn FnMut(JsValue) -> JsValue>; 2],
}

impl Drop for Offered {
    fn drop(&mut self) {
        for (object, name) in [(&self.gpu, "requestAdapter"), (&self.adapter, "requestDevice")] {
            let _ = Reflect::delete_property::<Object>(object.unchecked_ref(), &name.into());
        }
    }
}

/// Was the device given a feature that wgpu has no name for?
pub(super) fn has_feature(device: &wgpu::Device, feature: &str) -> bool {
    device.as_webgpu().is_some_and(|device| has(device.as_ref(), feature))
}

/// The method of the browser's device that wgpu compiles a program by: at once, as far as a page can see.
const COMPILE: &str = "createComputePipeline";

/// A program that the browser compiles beside others. wgpu has no name for that either: it is made to ask twice, once for what is
/// compiled meanwhile, and once, when that is done, for what it is given then.
pub(super) struct Compilation {
    module: wgpu::ShaderModule,
    promise: Promise,
}

impl Compilation {
    pub fn begin(gpu: &Gpu, name: &str, text: &str, layout: &wgpu::PipelineLayout) -> Result<Self> {
        let device = raw(gpu)?;
        let compile = method(&device, "createComputePipelineAsync")?;
        let module = gpu.scoped(name, 0, wgpu::ErrorFilter::Validation, || gpu.module(name, text))?;
        let begun: Rc<RefCell<Option<JsValue>>> = Rc::default();
        let (told, this) = (begun.clone(), device.clone());
        let ask = move |descriptor: JsValue| {
            *told.borrow_mut() = compile.call1(&this, &descriptor).ok();
            Object::new().into()
        };
        instead(&device, ask, || gpu.created(name, &module, layout))?;
        let promise = begun.take().ok_or_else(|| failed(format!("{name} was not compiled")))?;
        Ok(Self { module, promise: Promise::resolve(&promise) })
    }

    /// Waits for it.
    ///
    /// # Errors
    /// [`Error::Device`] with what the browser does not like.
    pub async fn finish(
        self,
        gpu: &Gpu,
        name: &'static str,
        layout: &wgpu::PipelineLayout,
    ) -> Result<wgpu::ComputePipeline> {
        let refused = |e: JsValue| Error::Device { op: name, message: format!("{}: {}", gpu.name(), thrown(&e)) };
        let pipeline = JsFuture::from(self.promise).await.map_err(refused)?;
        instead(&raw(gpu)?, move |_| pipeline.clone(), || gpu.created(name, &self.module, layout))
    }
}

fn raw(gpu: &Gpu) -> Result<JsValue> {
    let device = gpu.device.as_webgpu().ok_or_else(|| failed("this is not the browser's"))?;
    Ok(AsRef::<JsValue>::as_ref(device).clone())
}

/// Does `act` while `answer` stands in for the device's own [`COMPILE`].
fn instead<T>(
    device: &JsValue,
    answer: impl FnMut(JsValue) -> JsValue + 'static,
    act: impl FnOnce() -> T,
) -> Result<T> {
    let answer = Closure::<dyn FnMut(JsValue) -> JsValue>::new(answer);
    Reflect::set(device, &COMPILE.into(), answer.as_ref()).map_err(|e| thrown(&e))?;
    let done = act();
    let _ = Reflect::delete_property::<Object>(device.unchecked_ref(), &COMPILE.into());
    Ok(done)
}
