//! One pool of threads for the whole program: [`parallel`]`(n, f)` runs `f(0) … f(n - 1)`.
//!
//! Tasks are claimed one at a time, so uneven tasks balance, and threads that the system lets wait cost nothing: the caller
//! works on its job like everybody else, and at the end waits only for tasks that others have begun. Workers spin briefly
//! for the next job, since one model step is hundreds of jobs of microseconds, then sleep.
//!
//! Natively the pool starts its threads itself. In a browser they are Web Workers over a shared memory, which join when the
//! page has started them; without shared memory everything runs on the calling thread.

#[cfg(not(all(target_arch = "wasm32", not(target_feature = "atomics"))))]
mod crew;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(not(target_arch = "wasm32"))]
pub use native::{set_threads, threads};

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub use crew::{join, report_failure, threads};

/// How many threads there are.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
pub fn threads() -> usize {
    1
}

/// Runs `f(i)` for every `i` below `n_tasks`, on all threads of the pool, and returns when all are done. Within a task
/// it runs on that task's thread alone. A panic in a task panics here.
pub fn parallel(n_tasks: usize, f: impl Fn(usize) + Sync) {
    #[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
    (0..n_tasks).for_each(f);
    #[cfg(not(all(target_arch = "wasm32", not(target_feature = "atomics"))))]
    crew::run(n_tasks, &f);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_task_runs_once() {
        for n in [0, 1, 2, 3, 1000] {
            let counts: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            parallel(n, |i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn jobs_within_jobs_and_side_by_side() {
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        parallel(4, |_| parallel(5, |_| _ = total.fetch_add(1, Ordering::Relaxed)));
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 3 * 200 * 20);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let caught = std::panic::catch_unwind(|| parallel(8, |i| assert_ne!(i, 5, "task 5")));
        assert!(caught.is_err());
        parallel(8, |_| {});
    }
}
