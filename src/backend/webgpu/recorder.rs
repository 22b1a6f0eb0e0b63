//! Operations are recorded and run in batches: one compute pass and one submit for all that was recorded since the last
//! value was read. Programs, and bind groups by what they bind, are kept, so that a sequence of operations that comes again
//! creates nothing.

use super::{
    device::Gpu,
    memory::{Encoding, Memory, Pool, Raw},
    params::{Params, WORDS},
    shader::{self, Class, Kernel, Piece, Value, Variant, pieces},
    stats::Stats,
    timing::Timing,
};
use crate::{
    clock::default_clock,
    dtype::DType,
    error::{Error, Result},
};
use std::{
    collections::HashMap,
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

/// Dispatches of one batch at most: one block of the uniform buffer for each.
const SLOTS: usize = 1024;
const SLOT_BYTES: u64 = WORDS as u64 * 4;
/// Bind groups kept.
const BIND_GROUPS: usize = 16 * 1024;
/// Uploaded bytes under way at most (and the piece that comes to it), since they wait in memory of their own.
pub(super) const STAGED: u64 = 32 << 20;
/// Threads of a workgroup unless a job says otherwise.
const WORKGROUP: u32 = 256;

/// How many workgroups.
#[derive(Clone, Copy, Debug)]
pub(super) enum Groups {
    /// Enough for so many threads.
    Threads(usize),
    /// So many, numbered by `group_index`.
    Lines(usize),
    Grid(usize, usize, usize),
}

/// A kernel with its operands and numbers.
pub(super) struct Job<'a> {
    pub op: &'static str,
    pub kernel: &'static Kernel,
    pub class: Class,
    pub inputs: Vec<&'a Memory>,
    /// What the operands are called in the shader.
    pub names: Vec<&'static str>,
    /// Which operands are read eight elements at a time: a bit for each.
    pub eights: u32,
    /// Which operands are read four words at a time, whatever they hold.
    pub quads: u32,
    /// Whether operands are read as words, whatever they hold.
    pub words: bool,
    /// How the result is rounded.
    pub result: DType,
    pub values: Vec<(&'static str, Value)>,
    pub pieces: Vec<Piece>,
    pub params: Params,
    pub workgroup: u32,
    pub groups: Groups,
}

impl<'a> Job<'a> {
    /// One thread for each result.
    pub fn threads(
        op: &'static str,
        kernel: &'static Kernel,
        class: Class,
        inputs: &[&'a Memory],
        result: DType,
        params: Params,
    ) -> Self {
        let groups = Groups::Threads(params.words[0] as usize);
        Self {
            op,
            kernel,
            class,
            inputs: inputs.to_vec(),
            names: shader::NAMES[..inputs.len()].to_vec(),
            eights: 0,
            quads: 0,
            words: false,
            result,
            values: Vec::new(),
            pieces: Vec::new(),
            params,
            workgroup: WORKGROUP,
            groups,
        }
    }
    /// One workgroup for each result.
    pub fn lines(mut self) -> Self {
        self.groups = Groups::Lines(self.params.words[0] as usize);
        self
    }
    /// Operands are read as words, whatever they hold.
    pub fn read_as_words(mut self) -> Self {
        self.words = true;
        self
    }
    pub fn number(mut self, name: &'static str, value: u32) -> Self {
        self.values.push((name, Value::Number(value)));
        self
    }
    pub fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.values.push((name, Value::Flag(value)));
        self
    }
    pub fn word(mut self, name: &'static str, value: &'static str) -> Self {
        self.values.push((name, Value::Word(value)));
        self
    }
    pub fn piece(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }
    /// So many sums over a workgroup at once, by subgroups where the adapter has them.
    pub fn sums(self, count: u32, subgroups: bool) -> Self {
        self.number("SUMS", count).piece(if subgroups { pieces::SUMS_SUBGROUP } else { pieces::SUMS_SHARED })
    }
}

/// A recorded kernel; its numbers are in the batch's uniforms.
struct Dispatch {
    kernel: &'static str,
    pipeline: wgpu::ComputePipeline,
    buffers: Vec<Arc<Raw>>,
    groups: [u32; 3],
}

/// A copy into a buffer that the host can read, at the end of a batch.
pub(super) struct ReadBack<'a> {
    pub from: &'a Arc<Raw>,
    pub start: u64,
    pub bytes: u64,
    pub to: &'a wgpu::Buffer,
}

struct State {
    open: Vec<Dispatch>,
    uniforms: Vec<u8>,
    /// Number of the batch that is open.
    batch: u64,
    pipelines: HashMap<Variant, wgpu::ComputePipeline>,
    bind_groups: HashMap<Vec<u64>, wgpu::BindGroup>,
    staged: u64,
    /// Programs that a rehearsal has come across.
    wanted: Vec<Wanted>,
    timing: Option<Timing>,
}

/// A program that is to be compiled.
pub(super) struct Wanted {
    pub variant: Variant,
    pub kernel: &'static Kernel,
}

pub(super) struct Recorder {
    gpu: Arc<Gpu>,
    pool: Arc<Pool>,
    stats: Arc<Stats>,
    state: Mutex<State>,
    /// Of one to six buffers.
    layouts: Vec<(wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    uniform: wgpu::Buffer,
    /// Nothing runs; which programs are wanted is noted.
    pub rehearses: bool,
}

impl State {
    fn new() -> Self {
        Self {
            open: Vec::new(),
            uniforms: Vec::new(),
            batch: 1,
            pipelines: HashMap::new(),
            bind_groups: HashMap::new(),
            staged: 0,
            wanted: Vec::new(),
            timing: None,
        }
    }
}

impl Recorder {
    pub fn new(gpu: Arc<Gpu>, pool: Arc<Pool>, stats: Arc<Stats>) -> Result<Self> {
        let layouts = (1..=6).map(|buffers| layout(&gpu.device, buffers)).collect();
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let uniform = gpu.buffer("uniforms", SLOTS as u64 * SLOT_BYTES, usage)?;
        let state = Mutex::new(State::new());
        Ok(Self { gpu, pool, stats, state, layouts, uniform, rehearses: false })
    }

    /// One that only notes which programs are wanted.
    pub fn rehearsal(&self, pool: Arc<Pool>, stats: Arc<Stats>) -> Self {
        let (layouts, uniform) = (self.layouts.clone(), self.uniform.clone());
        Self { gpu: self.gpu.clone(), pool, stats, state: Mutex::new(State::new()), layouts, uniform, rehearses: true }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the batch that is open.
    pub fn batch(&self) -> u64 {
        self.state().batch
    }

    /// Records a kernel that writes `target`.
    pub fn record(&self, job: Job<'_>, target: &Memory) -> Result<()> {
        let groups = self.grid(&job)?;
        if groups.contains(&0) {
            return Ok(());
        }
        let params = job.params.words;
        let buffers: Vec<_> = job.inputs.iter().copied().chain([target]).map(|m| m.raw().clone()).collect();
        let mut state = self.state();
        let (kernel, variant) = (job.kernel, variant(job));
        if self.rehearses {
            if state.wanted.iter().all(|wanted| wanted.variant != variant) {
                state.wanted.push(Wanted { variant, kernel });
            }
            return Ok(());
        }
        let pipeline = self.pipeline(&mut state, kernel, variant)?;
        buffers.iter().for_each(|raw| raw.last_use.store(state.batch, Ordering::Relaxed));
        state.open.push(Dispatch { kernel: kernel.name, pipeline, buffers, groups });
        state.uniforms.extend_from_slice(bytemuck::cast_slice(&params));
        Stats::add(&self.stats.dispatches, 1);
        if state.open.len() == SLOTS {
            self.submit(&mut state, None)?;
        }
        Ok(())
    }

    fn grid(&self, job: &Job<'_>) -> Result<[u32; 3]> {
        let most = self.gpu.limits.max_compute_workgroups_per_dimension as usize;
        let folded = |n: usize| if n <= most { [n, 1, 1] } else { [most, n.div_ceil(most), 1] };
        let groups = match job.groups {
            Groups::Threads(n) => folded(n.div_ceil(job.workgroup as usize)),
            Groups::Lines(n) => folded(n),
            Groups::Grid(x, y, z) => [x, y, z],
        };
        if groups.iter().any(|&n| n > most) {
            let message = format!("needs {groups:?} workgroups; {} runs {most} along a side", self.gpu.name());
            return Err(Error::Device { op: job.op, message });
        }
        Ok(groups.map(|n| n as u32))
    }

    fn pipeline(&self, state: &mut State, kernel: &Kernel, variant: Variant) -> Result<wgpu::ComputePipeline> {
        if let Some(pipeline) = state.pipelines.get(&variant) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.gpu.pipeline(kernel.name, &self.program(kernel, &variant), self.layout_of(&variant))?;
        Stats::add(&self.stats.pipelines, 1);
        state.pipelines.insert(variant, pipeline.clone());
        Ok(pipeline)
    }

    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// A program's text.
    pub fn program(&self, kernel: &Kernel, variant: &Variant) -> String {
        let text = shader::compose(kernel, variant);
        #[cfg(test)]
        super::tests::composed(kernel.name, &shader::compose_for(true, kernel, variant));
        text
    }

    pub fn layout_of(&self, variant: &Variant) -> &wgpu::PipelineLayout {
        &self.layouts[variant.inputs.len()].1
    }

    /// How many programs a rehearsal has come across.
    pub fn noted(&self) -> usize {
        self.state().wanted.len()
    }

    pub fn take_noted(&self) -> Vec<Wanted> {
        std::mem::take(&mut self.state().wanted)
    }

    /// Is the program compiled?
    pub fn has(&self, variant: &Variant) -> bool {
        self.state().pipelines.contains_key(variant)
    }

    /// Keeps a program that was compiled ahead of its time.
    pub fn compiled(&self, variant: Variant, pipeline: wgpu::ComputePipeline) {
        Stats::add(&self.stats.pipelines, 1);
        self.state().pipelines.insert(variant, pipeline);
    }

    /// Writes bytes at a word of a buffer that no recorded kernel names. Natively waits while too many are under way.
    pub fn upload(&self, target: &Memory, at: u64, bytes: &[u8]) -> Result<()> {
        if self.rehearses {
            return Ok(());
        }
        let write = || self.write(target, at, bytes);
        self.gpu.scoped("bytes to upload", bytes.len() as u64, wgpu::ErrorFilter::OutOfMemory, write)?;
        self.staged(bytes.len())?;
        #[cfg(not(target_arch = "wasm32"))]
        if self.full() {
            let done = self.gpu.device.poll(wgpu::PollType::wait_indefinitely());
            done.map_err(|e| Error::Device { op: "upload", message: e.to_string() })?;
            self.arrived();
        }
        self.gpu.alive()
    }

    /// As [`Recorder::upload`], of words in JavaScript's memory.
    #[cfg(target_arch = "wasm32")]
    pub fn upload_js(&self, target: &Memory, at: u64, words: &js_sys::Uint8Array) -> Result<()> {
        if self.rehearses {
            return Ok(());
        }
        let no_handle = || Error::Device { op: "upload", message: "this is not the browser's WebGPU".into() };
        let queue = self.gpu.queue.as_webgpu().ok_or_else(no_handle)?;
        let buffer = target.raw().buffer.as_webgpu().ok_or_else(no_handle)?;
        let refused = |e: wasm_bindgen::JsValue| Error::Device { op: "upload", message: format!("{e:?}") };
        queue.write_buffer_with_f64_and_u8_array(buffer, at as f64, words).map_err(refused)?;
        self.staged(words.length() as usize)
    }

    /// Writes bytes at a word; the last word is filled with zeros.
    pub fn write(&self, target: &Memory, at: u64, bytes: &[u8]) {
        if self.rehearses {
            return;
        }
        let whole = bytes.len() / 4 * 4;
        let buffer = &target.raw().buffer;
        self.gpu.queue.write_buffer(buffer, at, &bytes[..whole]);
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.gpu.queue.write_buffer(buffer, at + whole as u64, &last);
        }
    }

    /// Counts bytes on their way, and has the queue begin when there are many.
    fn staged(&self, bytes: usize) -> Result<()> {
        let mut state = self.state();
        state.staged += bytes as u64;
        Stats::most(&self.stats.staged, state.staged);
        if state.staged >= STAGED {
            self.gpu.commit("uploads", || self.gpu.queue.submit([]))?;
        }
        Ok(())
    }

    /// Are as many bytes under way as may be?
    fn full(&self) -> bool {
        self.state().staged >= STAGED
    }

    fn arrived(&self) {
        self.state().staged = 0;
    }

    /// Returns when bytes may be uploaded again: no more than a bound are on their way at once.
    pub async fn room(&self) -> Result<()> {
        if self.full() {
            let done = Arc::new(Mutex::new((false, None::<std::task::Waker>)));
            let told = done.clone();
            self.gpu.queue.on_submitted_work_done(move || {
                let mut done = told.lock().unwrap_or_else(PoisonError::into_inner);
                done.0 = true;
                if let Some(waker) = done.1.take() {
                    waker.wake();
                }
            });
            std::future::poll_fn(|context| {
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.1 = Some(context.waker().clone());
                if done.0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
            self.arrived();
        }
        self.gpu.alive()
    }

    /// Times are taken of what is recorded from now on.
    pub fn begin_timing(&self) -> Result<()> {
        let mut state = self.state();
        self.submit(&mut state, None)?;
        state.timing = Some(Timing::new(&self.gpu, SLOTS)?);
        Ok(())
    }

    /// Runs all that is recorded, and gives the times so far.
    pub fn end_timing(&self) -> Result<Option<Timing>> {
        let mut state = self.state();
        self.submit(&mut state, None)?;
        Ok(state.timing.take())
    }

    /// Runs all that is recorded; the result is what to wait for.
    pub fn flush(&self, read: Option<ReadBack<'_>>) -> Result<Option<wgpu::SubmissionIndex>> {
        self.submit(&mut self.state(), read)
    }

    fn submit(&self, state: &mut State, read: Option<ReadBack<'_>>) -> Result<Option<wgpu::SubmissionIndex>> {
        if state.open.is_empty() && read.is_none() {
            return Ok(None);
        }
        self.gpu.alive()?;
        let what = format!("a batch of {} kernels", state.open.len());
        let start = default_clock();
        let submission = self.gpu.commit(&what, || self.encode(state, read))??;
        Stats::add(&self.stats.encode_microseconds, ((default_clock() - start) * 1e3) as u64);
        Stats::add(&self.stats.submits, 1);
        state.open.clear();
        state.uniforms.clear();
        state.batch += 1;
        let gone = self.pool.destroyed();
        if state.bind_groups.len() > BIND_GROUPS {
            state.bind_groups.clear();
        } else if !gone.is_empty() {
            state.bind_groups.retain(|ids, _| !ids.iter().any(|id| gone.contains(id)));
        }
        Ok(Some(submission))
    }

    fn encode(&self, state: &mut State, read: Option<ReadBack<'_>>) -> Result<wgpu::SubmissionIndex> {
        self.gpu.queue.write_buffer(&self.uniform, 0, &state.uniforms);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        // One pass for all, but where each kernel's time is taken.
        let in_a_pass = if state.timing.is_some() { 1 } else { SLOTS };
        for (pass, dispatches) in state.open.chunks(in_a_pass).enumerate() {
            let timestamp_writes = state.timing.as_ref().map(|timing| timing.of_pass(pass));
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
            let mut commands = encoder.begin_compute_pass(&descriptor);
            for (i, dispatch) in (pass * in_a_pass..).zip(dispatches) {
                let ids = dispatch.buffers.iter().map(|raw| raw.id).collect();
                let group = state.bind_groups.entry(ids).or_insert_with(|| self.bind_group(&dispatch.buffers));
                commands.set_pipeline(&dispatch.pipeline);
                commands.set_bind_group(0, &*group, &[(i as u64 * SLOT_BYTES) as u32]);
                let [x, y, z] = dispatch.groups;
                commands.dispatch_workgroups(x, y, z);
            }
        }
        if let Some(read) = read {
            encoder.copy_buffer_to_buffer(&read.from.buffer, read.start, read.to, 0, Some(read.bytes));
        }
        let timing = state.timing.as_mut().filter(|_| !state.open.is_empty());
        let Some(timing) = timing else { return Ok(self.gpu.queue.submit([encoder.finish()])) };
        let seen = timing.copy(&self.gpu, &mut encoder, state.open.len())?;
        let submission = self.gpu.queue.submit([encoder.finish()]);
        timing.submitted(state.open.iter().map(|dispatch| dispatch.kernel).collect(), seen, Some(submission.clone()));
        Ok(submission)
    }

    fn bind_group(&self, buffers: &[Arc<Raw>]) -> wgpu::BindGroup {
        Stats::add(&self.stats.bind_groups, 1);
        let numbers = wgpu::BufferBinding { buffer: &self.uniform, offset: 0, size: NonZeroU64::new(SLOT_BYTES) };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(numbers) }];
        entries.extend(
            (1..)
                .zip(buffers)
                .map(|(binding, raw)| wgpu::BindGroupEntry { binding, resource: raw.buffer.as_entire_binding() }),
        );
        let layout = &self.layouts[buffers.len() - 1].0;
        self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
    }
}

/// Which program a job runs.
fn variant(job: Job<'_>) -> Variant {
    let mut values = job.values;
    values.extend([("STRIDED", Value::Flag(job.params.strided)), ("WORKGROUP", Value::Number(job.workgroup))]);
    Variant {
        kernel: job.kernel.name,
        class: job.class,
        inputs: job.inputs.iter().map(|m| if job.words { Encoding::U32 } else { m.encoding }).collect(),
        names: job.names,
        eights: job.eights,
        quads: job.quads,
        result: job.result,
        values,
        pieces: job.pieces,
    }
}

/// The numbers, operands to read, and the result behind them.
fn layout(device: &wgpu::Device, buffers: u32) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
    entries.extend((1..=buffers).map(|i| entry(i, wgpu::BufferBindingType::Storage { read_only: i < buffers }, false)));
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    (group, pipeline)
}
