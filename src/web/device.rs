//! Devices by the names that JavaScript gives them.

use crate::{
    device::Device,
    error::{Error, Result},
};
use wasm_bindgen::JsValue;

/// `cpu` (also when none is named) or `webgpu`.
///
/// # Errors
/// For other names, when there is no adapter, or this module was compiled without WebGPU.
pub async fn named(op: &'static str, name: Option<&str>) -> Result<Device> {
    match name {
        None | Some("cpu") => Ok(Device::cpu()),
        Some("webgpu") => Device::webgpu().await,
        Some(other) => Err(Error::argument(op, format!("no device {other:?}; there are cpu and webgpu"))),
    }
}

/// What the adapter of a GPU is and can do; `undefined` for the processor.
#[cfg(feature = "webgpu")]
pub fn adapter(device: &Device) -> Result<JsValue> {
    device.adapter().map_or(Ok(JsValue::UNDEFINED), super::options::to_value)
}
/// What the adapter of a GPU is and can do; `undefined` for the processor.
#[cfg(not(feature = "webgpu"))]
pub fn adapter(_: &Device) -> Result<JsValue> {
    Ok(JsValue::UNDEFINED)
}
