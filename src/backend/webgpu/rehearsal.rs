//! Programs that are compiled side by side before they are needed: operations are run on a backend that computes nothing and notes
//! which programs they want.

#[cfg(target_arch = "wasm32")]
use super::browser::Compilation;
use super::{
    WebGpuBackend,
    memory::Pool,
    recorder::{Recorder, Wanted},
    stats::Stats,
};
#[cfg(not(target_arch = "wasm32"))]
use crate::error::Error;
use crate::{backend::Storage, dtype::DType, error::Result, shape::Shape};
#[cfg(target_arch = "wasm32")]
use std::cell::RefCell;
use std::{collections::VecDeque, sync::Arc};

impl WebGpuBackend {
    /// A backend of the same GPU that computes nothing and has no memory: what is read from it is one or zero.
    pub(crate) fn rehearsal(&self) -> Result<Self> {
        let stats = Arc::new(Stats::default());
        let pool = Arc::new(Pool::rehearsal(self.gpu.clone(), stats.clone())?);
        let recorder = Arc::new(self.recorder.rehearsal(pool.clone(), stats.clone()));
        Ok(Self { gpu: self.gpu.clone(), pool, stats, recorder, staging: Arc::default(), poison: false })
    }

    /// A tensor of a rehearsal, without any bytes.
    pub(crate) fn blank(&self, dtype: DType, shape: &Shape) -> Result<Storage> {
        self.filling(dtype, shape)?.blank()
    }

    /// How many programs a rehearsal has noted.
    pub(crate) fn noted(&self) -> usize {
        self.recorder.noted()
    }

    /// Begins to compile what a rehearsal has noted: first what it had noted when each stage ended.
    pub(crate) fn compile(&self, rehearsal: &WebGpuBackend, ends: &[usize]) -> Compiling {
        let stage = |i: usize| ends.iter().take_while(|&&end| end <= i).count();
        let noted = rehearsal.recorder.take_noted().into_iter().enumerate().map(|(i, wanted)| (stage(i), wanted));
        let wanted = noted.filter(|(_, wanted)| !self.recorder.has(&wanted.variant)).collect();
        Compiling::begin(self.recorder.clone(), wanted)
    }
}

/// Programs that are being compiled, with the stage that each belongs to, natively by threads.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) struct Compiling(Arc<Shared>);

#[cfg(not(target_arch = "wasm32"))]
#[derive(Default)]
struct Shared {
    state: std::sync::Mutex<Progress>,
    changed: std::sync::Condvar,
}

#[cfg(not(target_arch = "wasm32"))]
#[derive(Default)]
struct Progress {
    waiting: VecDeque<(usize, Wanted)>,
    /// Stages of those that threads are at.
    under_way: Vec<usize>,
    refused: Option<Error>,
}

#[cfg(not(target_arch = "wasm32"))]
impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Compiles until there is nothing left.
    fn work(&self, recorder: &Recorder) {
        loop {
            let mut state = self.state();
            let Some((stage, Wanted { variant, kernel })) = state.waiting.pop_front() else { return };
            state.under_way.push(stage);
            drop(state);
            let _done = Done(self, stage);
            let text = recorder.program(kernel, &variant);
            match recorder.gpu().pipeline(kernel.name, &text, recorder.layout_of(&variant)) {
                Ok(pipeline) => recorder.compiled(variant, pipeline),
                Err(error) => _ = self.state().refused.get_or_insert(error),
            }
        }
    }
}

/// Tells that a program is done, when a compiler panics too: then it is compiled when it is needed.
#[cfg(not(target_arch = "wasm32"))]
struct Done<'a>(&'a Shared, usize);

#[cfg(not(target_arch = "wasm32"))]
impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(at) = state.under_way.iter().position(|&stage| stage == self.1) {
            state.under_way.swap_remove(at);
        }
        self.0.changed.notify_all();
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Compiling {
    fn begin(recorder: Arc<Recorder>, waiting: VecDeque<(usize, Wanted)>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(waiting.len());
        let shared = Arc::new(Shared::default());
        shared.state().waiting = waiting;
        let start = || {
            let (recorder, shared) = (recorder.clone(), shared.clone());
            std::thread::Builder::new().name("votive-compile".into()).spawn(move || shared.work(&recorder))
        };
        // Where no thread can be had, programs are compiled when they are needed.
        if (0..threads).filter_map(|_| start().ok()).count() == 0 {
            shared.state().waiting.clear();
        }
        Self(shared)
    }

    /// Waits for those of the stages up to this one.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn ready(&self, stage: usize) -> Result<()> {
        let mut state = self.0.state();
        let missing = |state: &Progress| {
            state.waiting.front().is_some_and(|(first, _)| *first <= stage)
                || state.under_way.iter().any(|&at| at <= stage)
        };
        while missing(&state) && state.refused.is_none() {
            state = self.0.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.refused.take().map_or(Ok(()), Err)
    }
}

/// What has not begun is not wanted any more. What has is waited for: a driver that is at work when the process ends may crash.
#[cfg(not(target_arch = "wasm32"))]
impl Drop for Compiling {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting.clear();
        while !state.under_way.is_empty() {
            state = self.0.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

/// Programs that are being compiled, with the stage that each belongs to, by the browser, which tells when.
#[cfg(target_arch = "wasm32")]
pub(crate) struct Compiling(Arc<Recorder>, RefCell<VecDeque<(usize, Wanted, Compilation)>>);

#[cfg(target_arch = "wasm32")]
impl Compiling {
    fn begin(recorder: Arc<Recorder>, wanted: VecDeque<(usize, Wanted)>) -> Self {
        let begin = |(stage, wanted): (usize, Wanted)| {
            let text = recorder.program(wanted.kernel, &wanted.variant);
            let layout = recorder.layout_of(&wanted.variant);
            // What cannot be begun is compiled when it is needed.
            let compilation = Compilation::begin(recorder.gpu(), wanted.kernel.name, &text, layout).ok()?;
            Some((stage, wanted, compilation))
        };
        let begun = wanted.into_iter().filter_map(begin).collect();
        Self(recorder, RefCell::new(begun))
    }

    /// Waits for those of the stages up to this one.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn ready(&self, stage: usize) -> Result<()> {
        loop {
            let next = self.1.borrow_mut().pop_front_if(|(of, ..)| *of <= stage);
            let Some((_, Wanted { variant, kernel }, compilation)) = next else { return Ok(()) };
            let layout = self.0.layout_of(&variant);
            let pipeline = compilation.finish(self.0.gpu(), kernel.name, layout).await?;
            self.0.compiled(variant, pipeline);
        }
    }
}
