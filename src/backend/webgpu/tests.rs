//! The conformance suite and the backend's own tests, on the machine's adapter.
//!
//! Without an adapter they pass, and say so on standard error, unless `VOTIVE_WEBGPU_TESTS=require`: then that is a failure.

use super::WebGpuBackend;
use crate::{Device, conformance};
use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// Every program that was put together.
static PROGRAMS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

pub(super) fn composed(name: &str, text: &str) {
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner).push((name.into(), text.into()));
}

/// A device of its own, whose fresh memory is poisoned; `None` where there is no adapter.
fn device() -> Option<Device> {
    match pollster::block_on(WebGpuBackend::open_with(true)) {
        Ok(backend) => Some(Device::of(Arc::new(backend))),
        Err(error) if std::env::var("VOTIVE_WEBGPU_TESTS").as_deref() == Ok("require") => panic!("{error}"),
        Err(error) => {
            // Past the test harness, which keeps to itself what passing tests say.
            let _ = writeln!(std::io::stderr(), "NOT TESTED on a GPU, since this machine gives none: {error}");
            None
        }
    }
}

#[test]
fn webgpu_conforms() {
    let Some(device) = device() else { return };
    let outcomes = pollster::block_on(conformance::run(&device)).unwrap();
    let failed: Vec<_> = outcomes.iter().filter_map(|o| o.error.as_ref().map(|e| format!("{}: {e}", o.name))).collect();
    let stats = device.stats().unwrap();
    println!("{}\n{stats:?}", device.adapter().unwrap().name);
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), outcomes.len(), failed.join("\n"));
    assert!(outcomes.len() > 2000, "only {} outcomes", outcomes.len());
}
