//! Reading back. The last command of a batch copies into a buffer that the host maps; nothing blocks in a browser, natively
//! the device is polled.

use super::{
    WebGpuBackend,
    memory::{Encoding, Memory},
    memory_of,
    recorder::ReadBack,
    split::Split,
    stats::Stats,
};
use crate::{
    backend::{Meta, View, cpu::Buffer},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
};
use half::{bf16, f16};
use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

/// Buffers to read from that are kept.
const KEPT: usize = 8;

/// Buffers that the host can map, for reuse.
#[derive(Default)]
pub(super) struct Staging(Mutex<Vec<wgpu::Buffer>>);

impl Staging {
    fn take(&self, bytes: u64) -> Option<wgpu::Buffer> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |b: &wgpu::Buffer| b.size() >= bytes && b.size() <= (bytes * 4).max(4096);
        let at = kept.iter().position(fits)?;
        Some(kept.swap_remove(at))
    }
    fn give_back(&self, buffer: wgpu::Buffer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

/// Whether mapping has succeeded, and who waits for it.
#[derive(Default)]
struct Mapping {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

fn failed(message: impl Into<String>) -> Error {
    Error::Device { op: "to_vec", message: message.into() }
}

impl WebGpuBackend {
    /// The view's elements in row-major order.
    pub(super) async fn read_back(&self, view: View<'_>) -> Result<Buffer> {
        Stats::add(&self.stats.reads, 1);
        if let Some(split) = view.storage.as_any().downcast_ref::<Split>() {
            return self.read_parts(split, view).await;
        }
        let memory = memory_of(&view)?;
        let elements = view.layout.shape().elements();
        let copied;
        let (memory, start) = match view.layout.contiguous_range() {
            Some(range) => (memory, range.start),
            None => {
                let out = Meta { shape: view.layout.shape().clone(), dtype: view.dtype };
                copied = self.copy("to_vec", &view, &out)?;
                (&copied, 0)
            }
        };
        let bytes = self.bytes(memory, start, elements).await?;
        decoded(&bytes, memory.encoding, view.dtype)
    }

    /// Elements that adjoin, from the parts that hold them.
    async fn read_parts(&self, split: &Split, view: View<'_>) -> Result<Buffer> {
        let Some(range) = view.layout.contiguous_range() else {
            return Err(failed("the elements are in parts and do not adjoin"));
        };
        let mut all = Vec::new();
        for part in &split.parts {
            let (start, end) = (range.start.max(part.first), range.end.min(part.first + part.elements));
            if start < end {
                let layout = Layout::contiguous(part.elements);
                let memory = memory_of(&View { storage: &part.memory, layout: &layout, dtype: view.dtype })?;
                let bytes = self.bytes(memory, start - part.first, end - start).await?;
                all.extend_from_slice(decoded(&bytes, memory.encoding, view.dtype)?.bytes());
            }
        }
        Buffer::copy_from(&all)
    }

    /// Bytes of so many elements as they are held.
    async fn bytes(&self, memory: &Memory, start: usize, elements: usize) -> Result<Vec<u8>> {
        let (from, len) = (memory.encoding.bytes(start), memory.encoding.bytes(elements));
        // Copies begin and end at words.
        let first = from / 4 * 4;
        let size = (from + len).next_multiple_of(4) - first;
        if len == 0 {
            self.gpu.check().await?;
            return Ok(Vec::new());
        }
        let staging = match self.staging.take(size as u64) {
            Some(staging) => staging,
            None => {
                Stats::add(&self.stats.buffers, 1);
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                self.gpu.buffer("a value to read", (size as u64).next_power_of_two().max(4096), usage)?
            }
        };
        let read = ReadBack { from: memory.raw(), start: first as u64, bytes: size as u64, to: &staging };
        self.recorder.flush(Some(read))?;
        self.mapped(&staging, size as u64).await?;
        let range = staging.slice(..size as u64).get_mapped_range().map_err(|e| failed(e.to_string()))?;
        let bytes = range[from - first..from - first + len].to_vec();
        drop(range);
        staging.unmap();
        self.staging.give_back(staging);
        self.gpu.check().await?;
        Ok(bytes)
    }

    async fn mapped(&self, staging: &wgpu::Buffer, size: u64) -> Result<()> {
        let mapping = Arc::new(Mutex::new(Mapping::default()));
        let told = mapping.clone();
        staging.slice(..size).map_async(wgpu::MapMode::Read, move |result| {
            let mut mapping = told.lock().unwrap_or_else(PoisonError::into_inner);
            mapping.result = Some(result);
            if let Some(waker) = mapping.waker.take() {
                waker.wake();
            }
        });
        #[cfg(not(target_arch = "wasm32"))]
        self.gpu.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| failed(e.to_string()))?;
        let result = poll_fn(|context| {
            let mut mapping = mapping.lock().unwrap_or_else(PoisonError::into_inner);
            match mapping.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    mapping.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        self.gpu.check().await?;
        result.map_err(|e| failed(e.to_string()))
    }
}

/// Elements as the dtype says, of those that are held.
fn decoded(bytes: &[u8], encoding: Encoding, dtype: DType) -> Result<Buffer> {
    if Encoding::uploaded(dtype) == Some(encoding) && dtype != DType::I64 {
        return Buffer::copy_from(bytes);
    }
    let words = bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
    match dtype {
        DType::F16 => Buffer::from_slice(&words.map(|w| f16::from_f32(f32::from_le_bytes(w))).collect::<Vec<_>>()),
        DType::BF16 => Buffer::from_slice(&words.map(|w| bf16::from_f32(f32::from_le_bytes(w))).collect::<Vec<_>>()),
        DType::I64 => Buffer::from_slice(&words.map(|w| i64::from(i32::from_le_bytes(w))).collect::<Vec<_>>()),
        DType::U8 => Buffer::copy_from(&words.map(|w| w[0]).collect::<Vec<_>>()),
        _ => Err(failed(format!("{dtype} is not held as {encoding:?}"))),
    }
}
