//! One pool of threads for the whole program: [`parallel`]`(n, f)` runs `f(0) … f(n - 1)`.
//!
//! Tasks are claimed one at a time from a counter, so uneven tasks balance. Workers spin briefly for the next job, since
//! one model step is hundreds of jobs of microseconds, then sleep. In a browser without shared memory everything runs on
//! the calling thread.

#[cfg(target_arch = "wasm32")]
mod imp {
    /// How many threads there are.
    pub fn threads() -> usize {
        1
    }
    /// Asks for a number of threads; without shared memory there is one whatever is asked.
    pub fn set_threads(_threads: usize) {}
    pub(super) fn run(n_tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        (0..n_tasks).for_each(f);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
        sync::{
            Arc, Condvar, Mutex, OnceLock, PoisonError, TryLockError,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        thread,
    };

    /// Rounds of waiting for a job before sleeping: about 50 µs.
    const SPINS: usize = 2_000;

    static WANTED: AtomicUsize = AtomicUsize::new(0);
    static POOL: OnceLock<Pool> = OnceLock::new();

    /// How many threads work, the caller's included: what [`set_threads`] asked for, else the environment variable
    /// `VOTIVE_THREADS`, else one for each processor.
    pub fn threads() -> usize {
        pool().workers + 1
    }

    /// Asks for a number of threads. It counts only before the first use of the pool.
    pub fn set_threads(threads: usize) {
        WANTED.store(threads, Ordering::Relaxed);
    }

    struct Pool {
        shared: Arc<Shared>,
        workers: usize,
        /// Held by the thread whose job it is; others run theirs alone.
        owner: Mutex<()>,
    }

    #[derive(Default)]
    struct Shared {
        /// Number of the newest job; workers wait for it to change.
        epoch: AtomicUsize,
        job: Mutex<Option<Job>>,
        wake: Condvar,
        next: AtomicUsize,
        /// Workers that have not finished with the job.
        busy: AtomicUsize,
        panicked: AtomicBool,
    }

    #[derive(Clone, Copy)]
    struct Job {
        /// Borrowed from the caller of `run`, which outlives every use: it returns when no worker is busy.
        f: *const (dyn Fn(usize) + Sync),
        n_tasks: usize,
        epoch: usize,
    }
    // SAFETY: the function is Sync, and alive while workers have the job.
    unsafe impl Send for Job {}

    fn pool() -> &'static Pool {
        POOL.get_or_init(|| {
            let wanted = match WANTED.load(Ordering::Relaxed) {
                0 => std::env::var("VOTIVE_THREADS").ok().and_then(|v| v.parse().ok()).unwrap_or(0),
                n => n,
            };
            let available = || thread::available_parallelism().map_or(1, usize::from);
            let wanted = if wanted == 0 { available() } else { wanted };
            let shared = Arc::new(Shared::default());
            let spawn = |i: usize| {
                let shared = Arc::clone(&shared);
                thread::Builder::new().name(format!("votive-{i}")).spawn(move || worker(&shared)).is_ok()
            };
            // where threads are refused, those that were had do
            let workers = (1..wanted).take_while(|&i| spawn(i)).count();
            Pool { shared, workers, owner: Mutex::new(()) }
        })
    }

    fn worker(shared: &Shared) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            while shared.epoch.load(Ordering::Acquire) == seen && spins < SPINS {
                std::hint::spin_loop();
                spins += 1;
            }
            let job = {
                let mut slot = shared.job.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    match *slot {
                        Some(job) if job.epoch != seen => break job,
                        _ => slot = shared.wake.wait(slot).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            };
            seen = job.epoch;
            work(shared, job);
            shared.busy.fetch_sub(1, Ordering::Release);
        }
    }

    /// Claims and runs tasks until there are none.
    fn work(shared: &Shared, job: Job) {
        // SAFETY: `run` waits until every worker is done with the job, so the function is alive.
        let f = unsafe { &*job.f };
        loop {
            let i = shared.next.fetch_add(1, Ordering::Relaxed);
            if i >= job.n_tasks {
                return;
            }
            if catch_unwind(AssertUnwindSafe(|| f(i))).is_err() {
                shared.panicked.store(true, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn run(n_tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        let alone = || (0..n_tasks).for_each(f);
        if n_tasks < 2 {
            return alone();
        }
        let pool = pool();
        // a job inside a job, or another thread's at the same time, runs on its own thread
        let _owner = match pool.owner.try_lock() {
            Ok(owner) => owner,
            Err(TryLockError::Poisoned(owner)) => owner.into_inner(),
            Err(TryLockError::WouldBlock) => return alone(),
        };
        if pool.workers == 0 {
            return alone();
        }
        let shared = &*pool.shared;
        shared.next.store(0, Ordering::Relaxed);
        shared.panicked.store(false, Ordering::Relaxed);
        shared.busy.store(pool.workers, Ordering::Relaxed);
        let epoch = shared.epoch.load(Ordering::Relaxed).wrapping_add(1);
        // SAFETY: only the lifetime changes; this function does not return before every worker is done.
        let f = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync)>(f) };
        let job = Job { f, n_tasks, epoch };
        *shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
        shared.epoch.store(epoch, Ordering::Release);
        shared.wake.notify_all();
        work(shared, job);
        let mut spins = 0;
        while shared.busy.load(Ordering::Acquire) != 0 {
            spins += 1;
            // on a busy machine a worker may wait for a processor: let it have ours
            if spins < SPINS { std::hint::spin_loop() } else { thread::yield_now() }
        }
        if shared.panicked.load(Ordering::Relaxed) {
            resume_unwind(Box::new("a task of the thread pool panicked"));
        }
    }
}

pub use imp::{set_threads, threads};

/// Runs `f(i)` for every `i` below `n_tasks`, on all threads of the pool, and returns when all are done. Within a task
/// it runs on that task's thread alone. A panic in a task panics here.
pub fn parallel(n_tasks: usize, f: impl Fn(usize) + Sync) {
    imp::run(n_tasks, &f);
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
