//! The face for JavaScript: what the npm package calls. Small on purpose; the friendly API is TypeScript. The package ships
//! a module for each kind of work (text models are the feature `text`, tensors `tensor-js`), so that nobody downloads what is not
//! used, and each in builds for what browsers can do (`xtask/src/modules.rs`).
//!
//! Long work is a `Promise` of one short step, so that the worker's event loop turns in between. Errors are `Error`
//! objects whose `kind` is [`Error::kind`](crate::Error::kind), or `panic` for a fault of the engine itself.

mod convert;
#[cfg(feature = "text")]
mod device;
#[cfg(feature = "text")]
mod model;
#[cfg(feature = "text")]
mod options;
#[cfg_attr(
    not(any(feature = "text", feature = "tensor-js")),
    allow(dead_code, reason = "the conformance suite has its own face")
)]
mod promise;
#[cfg(feature = "text")]
mod source;
#[cfg(feature = "whisper")]
mod speech;
#[cfg(feature = "tensor-js")]
pub mod tensor;
mod threads;

#[cfg(feature = "text")]
pub use model::{WasmGeneration, WasmTextModel};
#[cfg(feature = "whisper")]
pub use speech::{WasmTranscriber, WasmTranscription};
pub use threads::threads;
#[cfg(all(feature = "conformance", target_feature = "atomics"))]
pub use threads::trap_in_thread;
#[cfg(target_feature = "atomics")]
pub use threads::{run_thread, thread_failed, thread_parts};

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
