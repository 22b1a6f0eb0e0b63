//! Time, injected: WebAssembly has no `Instant`.

/// A clock: milliseconds since a fixed, arbitrary moment.
pub type Clock = fn() -> f64;

/// The platform's monotonic clock (`Instant` natively, `performance.now()` in a browser).
#[cfg(not(target_arch = "wasm32"))]
pub fn default_clock() -> f64 {
    use std::{sync::OnceLock, time::Instant};
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

/// The platform's monotonic clock (`Instant` natively, `performance.now()` in a browser).
#[cfg(target_arch = "wasm32")]
pub fn default_clock() -> f64 {
    use wasm_bindgen::{JsCast, JsValue};
    thread_local! {
        // Windows, workers and Node all have `performance`; looked up once.
        static PERFORMANCE: Option<(JsValue, js_sys::Function)> = {
            let get = |object: &JsValue, key: &str| js_sys::Reflect::get(object, &key.into()).ok();
            get(&js_sys::global(), "performance").and_then(|performance| {
                let now = get(&performance, "now")?.dyn_into().ok()?;
                Some((performance, now))
            })
        };
    }
    PERFORMANCE
        .with(|p| p.as_ref().and_then(|(performance, now)| now.call0(performance).ok()?.as_f64()))
        .unwrap_or_else(js_sys::Date::now)
}
