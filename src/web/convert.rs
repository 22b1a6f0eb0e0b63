//! Errors as JavaScript sees them.

use crate::error::Error;
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// A JavaScript `Error` with a `kind`.
pub fn error_object(kind: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    // Setting a property of a fresh, extensible object does not fail.
    let _ = Reflect::set(&error, &"kind".into(), &kind.into());
    error.into()
}

/// Our error as JavaScript's.
pub fn to_js(error: Error) -> JsValue {
    error_object(error.kind(), &error.to_string())
}
