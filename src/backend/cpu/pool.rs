//! One pool of threads for the whole program: `parallel(n, f)` runs `f(0) … f(n - 1)`.
//!
//! In the browser without shared memory everything runs on the calling thread.

/// Runs `f(i)` for every `i` below `n_tasks`, and returns when all are done.
pub fn parallel(n_tasks: usize, f: impl Fn(usize) + Sync) {
    (0..n_tasks).for_each(f);
}
