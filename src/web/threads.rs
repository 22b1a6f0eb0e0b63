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

/// Traps in one of the engine's threads, in the middle of a task, for tests.
#[cfg(all(feature = "conformance", target_feature = "atomics"))]
#[wasm_bindgen(js_name = trapInThread)]
pub fn trap_in_thread() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (own, has_begun) = (std::thread::current().id(), AtomicBool::new(false));
    pool::parallel(2, |_| {
        if std::thread::current().id() != own {
            has_begun.store(true, Ordering::SeqCst);
            core::arch::wasm32::unreachable();
        }
        while !has_begun.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
    });
}
