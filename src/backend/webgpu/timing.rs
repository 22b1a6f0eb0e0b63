//! How long kernels run, by the GPU's own clock: while that is measured each kernel is a pass of its own.

use super::{WebGpuBackend, device::Gpu, read::Arriving};
use crate::error::Result;
use std::{collections::BTreeMap, future::Future, sync::Arc};

/// How long a kernel ran, all of its dispatches together.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct KernelTime {
    /// File name of its shader, without the ending.
    pub kernel: &'static str,
    /// How often it ran.
    pub dispatches: u64,
    /// Microseconds from its first thread's start to its last one's end. Browsers round each dispatch's (Chromium to 100).
    pub microseconds: f64,
}

/// Times that are being taken.
pub(super) struct Timing {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Of each batch: its kernels, and when they began and ended.
    batches: Vec<(Vec<&'static str>, Arriving)>,
}

const TIME: u64 = 8;

impl Timing {
    pub fn new(gpu: &Gpu, dispatches: usize) -> Result<Self> {
        let count = 2 * dispatches as u32;
        let ty = wgpu::QueryType::Timestamp;
        let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty, count });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = gpu.buffer("times", u64::from(count) * TIME, usage)?;
        Ok(Self { queries, resolved, batches: Vec::new() })
    }

    /// What makes pass `i` note its times.
    pub fn of_pass(&self, i: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * i as u32),
            end_of_pass_write_index: Some(2 * i as u32 + 1),
        }
    }

    /// Has the times of so many passes copied to where the host will see them.
    pub fn copy(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, passes: usize) -> Result<wgpu::Buffer> {
        let bytes = 2 * passes as u64 * TIME;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let seen = gpu.buffer("times", bytes, usage)?;
        encoder.resolve_query_set(&self.queries, 0..2 * passes as u32, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &seen, 0, Some(bytes));
        Ok(seen)
    }

    /// Takes in a batch that was submitted.
    pub fn submitted(
        &mut self,
        kernels: Vec<&'static str>,
        seen: wgpu::Buffer,
        submission: Option<wgpu::SubmissionIndex>,
    ) {
        let bytes = 2 * kernels.len() as u64 * TIME;
        self.batches.push((kernels, Arriving::new(seen, bytes, submission)));
    }

    async fn times(self, gpu: &Gpu) -> Result<Vec<KernelTime>> {
        let tick = f64::from(gpu.queue.get_timestamp_period()) / 1e3;
        let mut times = BTreeMap::<&str, (u64, f64)>::new();
        for (kernels, arriving) in self.batches {
            let ticks = |bytes: &[u8]| {
                let time = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
                let pass = |bytes: &[u8]| {
                    let (begin, end) = bytes.split_at(TIME as usize);
                    time(end).saturating_sub(time(begin)) as f64 * tick
                };
                Ok(bytes.chunks_exact(2 * TIME as usize).map(pass).collect::<Vec<_>>())
            };
            let (passes, _) = arriving.read(gpu, ticks).await?;
            for (kernel, microseconds) in kernels.into_iter().zip(passes) {
                let time = times.entry(kernel).or_default();
                *time = (time.0 + 1, time.1 + microseconds);
            }
        }
        let time = |(kernel, (dispatches, microseconds))| KernelTime { kernel, dispatches, microseconds };
        let mut times: Vec<_> = times.into_iter().map(time).collect();
        times.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
        Ok(times)
    }
}

impl WebGpuBackend {
    /// Begins to measure how long kernels run that are recorded from now on. `false`: the adapter has no timestamps.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn begin_timing(&self) -> Result<bool> {
        if !self.gpu.info.timestamps {
            return Ok(false);
        }
        self.recorder.begin_timing()?;
        Ok(true)
    }

    /// Ends that, and gives the times, the longest first.
    ///
    /// # Errors
    /// When the device was lost.
    pub fn end_timing(&self) -> impl Future<Output = Result<Vec<KernelTime>>> + use<> {
        let (timing, gpu): (_, Arc<Gpu>) = (self.recorder.end_timing(), self.gpu.clone());
        async move {
            match timing? {
                Some(timing) => timing.times(&gpu).await,
                None => Ok(Vec::new()),
            }
        }
    }
}
