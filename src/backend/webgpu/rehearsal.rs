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
use crate::{backend::Storage, dtype::DType, error::Result, shape::Shape};
use std::sync::Arc;

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

    /// Begins to compile what a rehearsal has noted.
    pub(crate) fn compile(&self, rehearsal: &WebGpuBackend) -> Compiling {
        Compiling::begin(self.recorder.clone(), self.recorder.missing(&rehearsal.recorder))
    }
}

/// Programs that are being compiled, natively by threads.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) struct Compiling(Vec<std::thread::JoinHandle<Result<()>>>);

#[cfg(not(target_arch = "wasm32"))]
impl Compiling {
    fn begin(recorder: Arc<Recorder>, wanted: Vec<Wanted>) -> Self {
        use std::sync::{Mutex, PoisonError};
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
        let wanted = Arc::new(Mutex::new(wanted));
        let compile = move |recorder: &Recorder, wanted: &Mutex<Vec<Wanted>>| {
            loop {
                let next = wanted.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(Wanted { variant, kernel }) = next else { return Ok(()) };
                let text = recorder.program(kernel, &variant);
                let pipeline = recorder.gpu().pipeline(kernel.name, &text, recorder.layout_of(&variant))?;
                recorder.compiled(variant, pipeline);
            }
        };
        let start = |_| {
            let (recorder, wanted) = (recorder.clone(), wanted.clone());
            std::thread::Builder::new().name("votive-compile".into()).spawn(move || compile(&recorder, &wanted))
        };
        // Where no thread can be had, programs are compiled when they are needed.
        Self((0..threads).map_while(|i| start(i).ok()).collect())
    }

    /// Waits for them.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn finish(self) -> Result<()> {
        // A thread that panicked has compiled less: its programs are compiled when they are needed.
        self.0.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    }
}

/// Programs that are being compiled, by the browser, which tells when.
#[cfg(target_arch = "wasm32")]
pub(crate) struct Compiling(Arc<Recorder>, Vec<(Wanted, Compilation)>);

#[cfg(target_arch = "wasm32")]
impl Compiling {
    fn begin(recorder: Arc<Recorder>, wanted: Vec<Wanted>) -> Self {
        let begin = |wanted: Wanted| {
            let text = recorder.program(wanted.kernel, &wanted.variant);
            let layout = recorder.layout_of(&wanted.variant);
            // What cannot be begun is compiled when it is needed.
            Some((Compilation::begin(recorder.gpu(), wanted.kernel.name, &text, layout).ok()?, wanted))
        };
        let begun = wanted.into_iter().filter_map(begin).map(|(compilation, wanted)| (wanted, compilation)).collect();
        Self(recorder, begun)
    }

    /// Waits for them.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn finish(self) -> Result<()> {
        for (Wanted { variant, kernel }, compilation) in self.1 {
            let layout = self.0.layout_of(&variant);
            let pipeline = compilation.finish(self.0.gpu(), kernel.name, layout).await?;
            self.0.compiled(variant, pipeline);
        }
        Ok(())
    }
}
