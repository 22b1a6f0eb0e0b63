//! Reading back. The last command of a batch copies into a buffer that the host maps; nothing blocks in a browser, natively
//! the device is polled.

use super::{
    WebGpuBackend,
    device::Gpu,
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
    ops::Range,
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

/// A buffer that the host will see.
pub(super) struct Arriving {
    buffer: wgpu::Buffer,
    size: u64,
    mapping: Arc<Mutex<Mapping>>,
    #[cfg(not(target_arch = "wasm32"))]
    submission: Option<wgpu::SubmissionIndex>,
}

impl Arriving {
    /// The first `size` bytes of `buffer`, which a submission copies there.
    pub fn new(
        buffer: wgpu::Buffer,
        size: u64,
        #[cfg_attr(
            target_arch = "wasm32",
            expect(unused_variables, reason = "a browser tells of the mapping by itself")
        )]
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Self {
        let mapping = Arc::new(Mutex::new(Mapping::default()));
        let told = mapping.clone();
        buffer.slice(..size).map_async(wgpu::MapMode::Read, move |result| {
            let mut mapping = told.lock().unwrap_or_else(PoisonError::into_inner);
            mapping.result = Some(result);
            if let Some(waker) = mapping.waker.take() {
                waker.wake();
            }
        });
        Self {
            buffer,
            size,
            mapping,
            #[cfg(not(target_arch = "wasm32"))]
            submission,
        }
    }

    /// What `read` makes of the bytes, and the buffer for another use.
    pub async fn read<T>(self, gpu: &Gpu, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<(T, wgpu::Buffer)> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            // Not for what was submitted later.
            let until = wgpu::PollType::Wait { submission_index: self.submission, timeout: None };
            gpu.device.poll(until).map_err(|e| failed(e.to_string()))?;
        }
        let result = poll_fn(|context| {
            let mut mapping = self.mapping.lock().unwrap_or_else(PoisonError::into_inner);
            match mapping.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    mapping.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        gpu.check().await?;
        result.map_err(|e| failed(e.to_string()))?;
        let view = self.buffer.slice(..self.size).get_mapped_range().map_err(|e| failed(e.to_string()))?;
        let found = read(&view);
        drop(view);
        self.buffer.unmap();
        Ok((found?, self.buffer))
    }
}

/// Elements on their way to the host.
pub(super) struct UnderWay {
    gpu: Arc<Gpu>,
    /// What of them lies in one memory each, in order.
    parts: Vec<Mapped>,
    dtype: DType,
    /// Of a rehearsal: so many ones.
    blank: Option<usize>,
}

struct Mapped {
    arriving: Arriving,
    range: Range<usize>,
    encoding: Encoding,
    /// Where the buffer goes when it was read.
    staging: Arc<Staging>,
}

impl WebGpuBackend {
    /// Copies the view's elements, in row-major order, to where the host can read them once that is done.
    pub(super) fn begin_reading(&self, view: &View<'_>) -> Result<UnderWay> {
        Stats::add(&self.stats.reads, 1);
        let mut parts = Vec::new();
        let range = view.layout.contiguous_range();
        if let Some(split) = view.storage.as_any().downcast_ref::<Split>() {
            let Some(range) = range else {
                return Err(failed("the elements are in parts and do not adjoin"));
            };
            for part in &split.parts {
                let (start, end) = (range.start.max(part.first), range.end.min(part.first + part.elements));
                if start < end {
                    let layout = Layout::contiguous(part.elements);
                    let memory = memory_of(&View { storage: &part.memory, layout: &layout, dtype: view.dtype })?;
                    parts.extend(self.map(memory, start - part.first, end - start)?);
                }
            }
        } else if view.layout.shape().elements() > 0 {
            let copied;
            let (memory, start) = match range {
                Some(range) => (memory_of(view)?, range.start),
                None => {
                    let out = Meta { shape: view.layout.shape().clone(), dtype: view.dtype };
                    copied = self.copy("to_vec", view, &out)?;
                    (&copied, 0)
                }
            };
            parts.extend(self.map(memory, start, view.layout.shape().elements())?);
        }
        let blank = self.recorder.rehearses.then(|| view.layout.shape().elements());
        Ok(UnderWay { gpu: self.gpu.clone(), parts, dtype: view.dtype, blank })
    }

    /// Has so many elements copied to a buffer that the host can map.
    /// `None`: nothing runs.
    fn map(&self, memory: &Memory, start: usize, elements: usize) -> Result<Option<Mapped>> {
        if self.recorder.rehearses {
            return Ok(None);
        }
        let (from, len) = (memory.encoding.bytes(start), memory.encoding.bytes(elements));
        // Copies begin and end at words.
        let first = from / 4 * 4;
        let size = ((from + len).next_multiple_of(4) - first) as u64;
        let buffer = match self.staging.take(size) {
            Some(buffer) => buffer,
            None => {
                Stats::add(&self.stats.buffers, 1);
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                self.gpu.buffer("a value to read", size.next_power_of_two().max(4096), usage)?
            }
        };
        let read = ReadBack { from: memory.raw(), start: first as u64, bytes: size, to: &buffer };
        let submission = self.recorder.flush(Some(read))?;
        Ok(Some(Mapped {
            arriving: Arriving::new(buffer, size, submission),
            range: from - first..from - first + len,
            encoding: memory.encoding,
            staging: self.staging.clone(),
        }))
    }
}

impl UnderWay {
    /// The elements, once they are there; natively the device is polled until then.
    pub async fn finish(self) -> Result<Buffer> {
        if let Some(elements) = self.blank {
            return match self.dtype {
                // Whatever is divided by it is a number.
                DType::F32 => Buffer::from_slice(&vec![1f32; elements]),
                dtype => Buffer::zeroed(dtype.bytes_for(elements).unwrap_or(0)),
            };
        }
        let (mut all, mut first) = (Vec::new(), None);
        for mapped in self.parts {
            let elements = mapped.read(&self.gpu, self.dtype).await?;
            match &first {
                None => first = Some(elements),
                Some(first) => {
                    if all.is_empty() {
                        all.extend_from_slice(first.bytes());
                    }
                    all.extend_from_slice(elements.bytes());
                }
            }
        }
        match first {
            Some(first) if all.is_empty() => Ok(first),
            Some(_) => Buffer::copy_from(&all),
            None => {
                self.gpu.check().await?;
                Buffer::copy_from(&[])
            }
        }
    }
}

impl Mapped {
    async fn read(self, gpu: &Gpu, dtype: DType) -> Result<Buffer> {
        let elements = |bytes: &[u8]| decoded(&bytes[self.range], self.encoding, dtype);
        let (elements, buffer) = self.arriving.read(gpu, elements).await?;
        self.staging.give_back(buffer);
        Ok(elements)
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
