//! The threads that share jobs: how tasks are claimed, how threads wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::*},
    },
};

/// Rounds of waiting before sleeping: some 50 µs. WebAssembly has no pause instruction, and waking a Worker takes longer.
const SPINS: usize = if cfg!(target_arch = "wasm32") { 50_000 } else { 2_000 };

/// A job's state: how many of its tasks nobody has claimed (high half), and how many workers are at a task of it (low half).
/// Both are 0 when there is no job.
static STATE: AtomicU64 = AtomicU64::new(0);
const UNCLAIMED: u64 = 1 << 32;
const WORKING: u64 = 1;

/// The job. It lies on the stack of the thread that runs it, and is read only by those who hold it: by a task claimed in
/// [`STATE`], and not given back yet.
static JOB: AtomicPtr<Job<'static>> = AtomicPtr::new(ptr::null_mut());
/// Held by the thread whose job it is; others run theirs alone.
static OWNER: Mutex<()> = Mutex::new(());

static SLEEPERS: AtomicUsize = AtomicUsize::new(0);
static SLEEP: Mutex<()> = Mutex::new(());
/// There is a job.
static WAKE: Condvar = Condvar::new();

static IS_OWNER_ASLEEP: AtomicBool = AtomicBool::new(false);
static OWNER_SLEEP: Mutex<()> = Mutex::new(());
/// The last task has ended.
static DONE: Condvar = Condvar::new();

struct Job<'a> {
    f: &'a (dyn Fn(usize) + Sync),
    n_tasks: usize,
    has_panicked: AtomicBool,
}

impl Job<'_> {
    /// Runs the task that was claimed when `unclaimed` were left.
    fn run(&self, unclaimed: usize) {
        if catch_unwind(AssertUnwindSafe(|| (self.f)(self.n_tasks - unclaimed))).is_err() {
            self.has_panicked.store(true, Relaxed);
        }
    }
}

fn unclaimed(state: u64) -> usize {
    (state >> 32) as usize
}

fn lock(mutex: &'static Mutex<()>) -> MutexGuard<'static, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker's life.
pub(super) fn work_for_ever() -> ! {
    loop {
        wait_for_job();
        work();
    }
}

/// Returns when there is, or just was, something to claim.
#[inline(never)]
fn wait_for_job() {
    for _ in 0..SPINS {
        if unclaimed(STATE.load(Relaxed)) > 0 {
            return;
        }
        std::hint::spin_loop();
    }
    let mut guard = lock(&SLEEP);
    // Before looking once more: who publishes a job looks at this after it.
    SLEEPERS.fetch_add(1, SeqCst);
    while unclaimed(STATE.load(SeqCst)) == 0 {
        guard = WAKE.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    SLEEPERS.fetch_sub(1, SeqCst);
}

/// Claims and runs tasks until there are none. A function of its own: engines of WebAssembly do not replace code by its
/// optimised form while it runs, and the loop around this one never ends.
#[inline(never)]
fn work() {
    // The first claim takes hold of the job, the last step lets go of it; in between, JOB cannot change.
    let claim = |state: u64| (unclaimed(state) > 0).then(|| state - UNCLAIMED + WORKING);
    let Ok(before) = STATE.fetch_update(AcqRel, Relaxed, claim) else { return };
    // SAFETY: whoever published the job waits until nobody is at a task of it.
    let job = unsafe { &*JOB.load(Relaxed) };
    let mut left = unclaimed(before);
    loop {
        job.run(left);
        let next = |state: u64| Some(if unclaimed(state) > 0 { state - UNCLAIMED } else { state - WORKING });
        let before = STATE.fetch_update(SeqCst, Relaxed, next).unwrap_or_default();
        left = unclaimed(before);
        if left == 0 {
            if before == WORKING && IS_OWNER_ASLEEP.load(SeqCst) {
                drop(lock(&OWNER_SLEEP));
                DONE.notify_one();
            }
            return;
        }
    }
}

/// Runs a job with all threads.
pub(super) fn run(n_tasks: usize, f: &(dyn Fn(usize) + Sync)) {
    let alone = || (0..n_tasks).for_each(f);
    if n_tasks < 2 || workers() == 0 || u32::try_from(n_tasks).is_err() {
        return alone();
    }
    // a job inside a job, or another thread's at the same time, runs on its own thread
    let _owner = match OWNER.try_lock() {
        Ok(owner) => owner,
        Err(TryLockError::Poisoned(owner)) => owner.into_inner(),
        Err(TryLockError::WouldBlock) => return alone(),
    };
    let job = Job { f, n_tasks, has_panicked: AtomicBool::new(false) };
    JOB.store(ptr::from_ref(&job).cast_mut().cast(), Relaxed);
    STATE.store(n_tasks as u64 * UNCLAIMED, SeqCst);
    wake(n_tasks - 1);
    let claim = |state: u64| (unclaimed(state) > 0).then(|| state - UNCLAIMED);
    while let Ok(before) = STATE.fetch_update(AcqRel, Relaxed, claim) {
        job.run(unclaimed(before));
    }
    wait_for_others();
    if job.has_panicked.into_inner() {
        resume_unwind(Box::new("a task of the thread pool panicked"));
    }
}

/// Wakes as many sleepers as there are tasks for.
fn wake(tasks: usize) {
    let sleepers = SLEEPERS.load(SeqCst);
    if sleepers == 0 {
        return;
    }
    drop(lock(&SLEEP));
    if tasks < sleepers { (0..tasks).for_each(|_| WAKE.notify_one()) } else { WAKE.notify_all() }
}

/// Waits for the tasks that workers have begun.
#[inline(never)]
fn wait_for_others() {
    for _ in 0..SPINS {
        if STATE.load(Acquire) == 0 {
            return;
        }
        std::hint::spin_loop();
    }
    // On a busy machine a worker waits for a processor in the middle of a task: let it have ours.
    let mut guard = lock(&OWNER_SLEEP);
    IS_OWNER_ASLEEP.store(true, SeqCst);
    while STATE.load(SeqCst) != 0 {
        check_failure();
        guard = DONE.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    IS_OWNER_ASLEEP.store(false, SeqCst);
}

#[cfg(not(target_arch = "wasm32"))]
use super::native::workers;
/// Natively a task that fails is caught, and its thread lives on.
#[cfg(not(target_arch = "wasm32"))]
fn check_failure() {}

#[cfg(target_arch = "wasm32")]
use web::{check_failure, workers};
#[cfg(target_arch = "wasm32")]
pub use web::{join, report_failure, threads};

/// In a browser the page's Workers come and join.
#[cfg(target_arch = "wasm32")]
mod web {
    use super::*;

    static WORKERS: AtomicUsize = AtomicUsize::new(0);
    static HAS_FAILED: AtomicBool = AtomicBool::new(false);

    /// Makes the calling thread a worker of the pool; never returns.
    pub fn join() -> ! {
        WORKERS.fetch_add(1, SeqCst);
        work_for_ever()
    }

    /// How many threads work, the engine's own included.
    pub fn threads() -> usize {
        workers() + 1
    }

    /// Says that a worker has trapped: its task will never end, and whoever waits for it has to know.
    pub fn report_failure() {
        HAS_FAILED.store(true, SeqCst);
        drop(lock(&OWNER_SLEEP));
        DONE.notify_one();
    }

    pub(super) fn workers() -> usize {
        WORKERS.load(Relaxed)
    }

    pub(super) fn check_failure() {
        assert!(!HAS_FAILED.load(SeqCst), "a thread failed");
    }
}
