//! The face for JavaScript: what the npm package's worker calls. Small on purpose; the friendly API is TypeScript.
//!
//! Long work is a `Promise` of one short step, so that the worker's event loop turns in between. Errors are `Error`
//! objects whose `kind` is [`Error::kind`](crate::Error::kind), or `panic` for a fault of the engine itself.

mod convert;
mod model;
mod promise;
mod source;

pub use model::{WasmGeneration, WasmTextModel};

use wasm_bindgen::prelude::*;

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    promise::report_panics();
}

/// Bytes of WebAssembly memory in use. It never shrinks: this is also the peak.
#[wasm_bindgen(js_name = memoryBytes)]
pub fn memory_bytes() -> f64 {
    const PAGE: f64 = 65536.0;
    core::arch::wasm32::memory_size(0) as f64 * PAGE
}

/// The crate's version.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
