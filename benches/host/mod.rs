//! What the benchmarks of kernels need of where they run: processor time, a line of output, a filter. As WebAssembly they have
//! them of benches/browser/kernels.mjs.

#[cfg(target_arch = "wasm32")]
mod imp {
    #[link(wasm_import_module = "bench")]
    unsafe extern "C" {
        /// Milliseconds since some start.
        safe fn now() -> f64;
        /// Prints UTF-8 text.
        fn print(text: *const u8, length: usize);
        /// Writes as much of the filter (UTF-8) as fits, and tells its length.
        fn filter(text: *mut u8, space: usize) -> usize;
    }
    pub fn seconds() -> f64 {
        now() / 1000.0
    }
    pub fn say(text: &str) {
        // SAFETY: the host reads that text and keeps nothing.
        unsafe { print(text.as_ptr(), text.len()) }
    }
    pub fn wanted() -> String {
        let mut text = [0; 256];
        // SAFETY: the host writes no more than the space.
        let length = unsafe { filter(text.as_mut_ptr(), text.len()) };
        String::from_utf8_lossy(&text[..length.min(text.len())]).into_owned()
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use std::{sync::OnceLock, time::Instant};

    /// Of processor time where Linux tells it (one thread is measured), else of the clock.
    pub fn seconds() -> f64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let used = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        match used.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()) {
            Some(ns) => ns / 1e9,
            None => START.get_or_init(Instant::now).elapsed().as_secs_f64(),
        }
    }
    pub fn say(text: &str) {
        println!("{text}");
    }
    pub fn wanted() -> String {
        std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default()
    }
}

pub use imp::{say, wanted};

/// Values that look like weights or activations: around 0, most of them small.
pub fn random(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next() + next()).collect()
}

/// The best of several batches of runs, in 10⁹ operations a second.
pub fn measure(operations: f64, mut f: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let mut runs = 1;
    let mut batches = 0;
    while batches < 5 {
        let start = imp::seconds();
        (0..runs).for_each(|_| f());
        let elapsed = imp::seconds() - start;
        // processor time comes in ticks: a batch must be much longer
        if elapsed < 0.03 {
            runs *= 2;
            continue;
        }
        best = best.min(elapsed / f64::from(runs));
        batches += 1;
    }
    operations / best / 1e9
}
