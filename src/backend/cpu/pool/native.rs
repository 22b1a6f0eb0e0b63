//! Natively the pool starts its own threads.

use super::crew;
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

static WANTED: AtomicUsize = AtomicUsize::new(0);

/// How many threads work, the caller's included: what [`set_threads`] asked for, else the environment variable
/// `VOTIVE_THREADS`, else one for each processor.
pub fn threads() -> usize {
    workers() + 1
}

/// Asks for a number of threads. It counts only before the first use of the pool.
pub fn set_threads(threads: usize) {
    WANTED.store(threads, Ordering::Relaxed);
}

/// How many threads beside the caller's there are; starts them the first time.
pub(super) fn workers() -> usize {
    static STARTED: OnceLock<usize> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let wanted = match WANTED.load(Ordering::Relaxed) {
            0 => std::env::var("VOTIVE_THREADS").ok().and_then(|v| v.parse().ok()).unwrap_or(0),
            n => n,
        };
        let available = || thread::available_parallelism().map_or(1, usize::from);
        let wanted = if wanted == 0 { available() } else { wanted };
        let spawn =
            |i: &usize| thread::Builder::new().name(format!("votive-{i}")).spawn(|| crew::work_for_ever()).is_ok();
        // where threads are refused, those that were had do
        (1..wanted).take_while(spawn).count()
    })
}
