//! Threads: Web Workers that the page starts over the engine's shared memory.

use crate::backend::cpu::pool;
use wasm_bindgen::prelude::*;

/// How many threads compute, the engine's own included.
#[wasm_bindgen]
pub fn threads() -> usize {
    pool::threads()
}

/// What a Worker needs to become a thread of this engine: its `WebAssembly.Module`, and its `WebAssembly.Memory`.
#[cfg(target_feature = "atomics")]
#[wasm_bindgen(js_name = threadParts)]
pub fn thread_parts() -> js_sys::Array {
    js_sys::Array::of2(&wasm_bindgen::module(), &wasm_bindgen::memory())
}

/// Makes the calling Worker one of the engine's threads. It never returns; it throws when the thread traps.
#[cfg(target_feature = "atomics")]
#[wasm_bindgen(js_name = runThread)]
pub fn run_thread() {
    pool::join()
}

/// Says that a thread has trapped: the engine's own must not wait for it.
#[cfg(target_feature = "atomics")]
#[wasm_bindgen(js_name = threadFailed)]
pub fn thread_failed() {
    pool::report_failure();
}
