//! Device memory: how dtypes are held there, and a pool of buffers that results come from and go back to.
//!
//! f32, i32 and u32 are held as they are. Of the others:
//! - f16, bf16 and u8 come as they are in files, two or four to a word; results are held in a word each: as f32 rounded to what
//!   the dtype can hold, and as u32.
//! - i64 is held as i32. Uploading a number beyond that is an error; results of arithmetic wrap at 32 bits.
//! - f64 is not held: an error that says so.
//! - Block formats are held as bytes and dequantized where they are read.

use super::{device::Gpu, stats::Stats};
use crate::{
    backend::DeviceBuffer,
    dtype::DType,
    error::{Error, Result},
};
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How elements lie in device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Encoding {
    F32,
    I32,
    U32,
    /// Two to a word.
    F16,
    /// Two to a word.
    BF16,
    /// Four to a word.
    U8,
    Blocks(DType),
}

impl Encoding {
    /// As uploaded. `None`: not held.
    pub fn uploaded(dtype: DType) -> Option<Self> {
        Some(match dtype {
            DType::F32 => Self::F32,
            DType::F16 => Self::F16,
            DType::BF16 => Self::BF16,
            DType::I64 | DType::I32 => Self::I32,
            DType::U32 => Self::U32,
            DType::U8 => Self::U8,
            DType::F64 => return None,
            blocks => Self::Blocks(blocks),
        })
    }
    /// As written by kernels. `None`: no kernel writes it.
    pub fn written(dtype: DType) -> Option<Self> {
        Some(match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Self::F32,
            DType::I64 | DType::I32 => Self::I32,
            DType::U32 | DType::U8 => Self::U32,
            _ => return None,
        })
    }
    /// Bytes of so many elements.
    pub fn bytes(self, elements: usize) -> usize {
        match self {
            Self::F32 | Self::I32 | Self::U32 => elements * 4,
            Self::F16 | Self::BF16 => elements * 2,
            Self::U8 => elements,
            Self::Blocks(dtype) => elements / dtype.block_len() * dtype.block_bytes(),
        }
    }
}

/// A buffer of the device.
pub(super) struct Raw {
    /// Unlike that of any other buffer before or after.
    pub id: u64,
    pub buffer: wgpu::Buffer,
    pub size: u64,
    /// The batch of commands that last named it.
    pub last_use: AtomicU64,
    /// Bytes of all buffers, this one's among them.
    all: Arc<AtomicU64>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.all.fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// Memory of tensors: a buffer that goes back to the pool with the last tensor.
pub(super) struct Memory {
    raw: Option<Arc<Raw>>,
    pool: Arc<Pool>,
    pub encoding: Encoding,
    pub elements: usize,
}

impl Memory {
    pub fn raw(&self) -> &Arc<Raw> {
        // Taken only when dropped.
        self.raw.as_ref().expect("memory is there until it is dropped")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            self.pool.give_back(raw);
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({:?} x {})", self.encoding, self.elements)
    }
}

impl DeviceBuffer for Memory {
    fn bytes(&self) -> usize {
        self.encoding.bytes(self.elements)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Buffers larger than this are given back to the system rather than kept: weights, mostly.
const KEPT: u64 = 64 << 20;
/// No more than so many bytes wait in the pool.
const WAITING: u64 = 512 << 20;

/// Free buffers by size. Of several the one made first is taken, so that equal sequences of operations get equal buffers, and
/// find the bind groups of the time before.
pub(super) struct Pool {
    gpu: Arc<Gpu>,
    stats: Arc<Stats>,
    free: Mutex<Free>,
    next: AtomicU64,
    /// Bytes of all buffers that there are.
    all: Arc<AtomicU64>,
    /// How many those may be.
    max_memory: u64,
    /// Stands for all memory, where nothing runs.
    instead: Option<wgpu::Buffer>,
}

#[derive(Default)]
struct Free {
    by_size: BTreeMap<u64, BTreeSet<u64>>,
    raws: HashMap<u64, Arc<Raw>>,
    bytes: u64,
    /// Buffers that are no more: bind groups that name them must go.
    destroyed: Vec<u64>,
}

/// Rounded up to a quarter of a power of two, so that sizes repeat.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 8).max(256);
    bytes.div_ceil(step) * step
}

impl Pool {
    pub fn new(gpu: Arc<Gpu>, stats: Arc<Stats>, max_memory: u64) -> Self {
        let (free, all) = (Mutex::default(), Arc::default());
        Self { gpu, stats, free, next: AtomicU64::new(1), all, max_memory, instead: None }
    }

    /// Memory that nothing is ever read from or written to: a buffer stands for all of it.
    pub fn rehearsal(gpu: Arc<Gpu>, stats: Arc<Stats>) -> Result<Self> {
        let instead = Some(gpu.buffer("a rehearsal", 4, wgpu::BufferUsages::STORAGE)?);
        Ok(Self { instead, ..Self::new(gpu, stats, u64::MAX) })
    }

    /// The largest buffer, in bytes: what a kernel can see at once.
    pub fn most(&self) -> u64 {
        self.gpu.limits.max_buffer_size.min(self.gpu.limits.max_storage_buffer_binding_size) / 4 * 4
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for so many elements. `unused_by`: not a buffer that this batch names.
    pub fn memory(
        self: &Arc<Self>,
        encoding: Encoding,
        elements: usize,
        unused_by: Option<u64>,
        what: &str,
    ) -> Result<Memory> {
        let size = (encoding.bytes(elements) as u64).next_multiple_of(4);
        let size = if size > KEPT { size } else { size_class(size).min(self.most()).max(size) };
        let raw = match self.take(size, unused_by) {
            Some(raw) => raw,
            None => match self.make(size, what) {
                // What waits for reuse makes room.
                Err(Error::OutOfMemory { .. }) if self.release() => self.make(size, what)?,
                made => made?,
            },
        };
        Ok(Memory { raw: Some(raw), pool: self.clone(), encoding, elements })
    }

    fn take(&self, size: u64, unused_by: Option<u64>) -> Option<Arc<Raw>> {
        let mut free = self.free();
        let candidates = free.by_size.get(&size)?;
        let usable = |id: &&u64| {
            unused_by
                .is_none_or(|batch| free.raws.get(*id).is_some_and(|r| r.last_use.load(Ordering::Relaxed) != batch))
        };
        let id = *candidates.iter().find(usable)?;
        let raw = free.raws.remove(&id)?;
        if let Some(ids) = free.by_size.get_mut(&size) {
            ids.remove(&id);
        }
        free.bytes -= size;
        Some(raw)
    }

    fn make(&self, size: u64, what: &str) -> Result<Arc<Raw>> {
        let most = self.most();
        if size > most {
            let message = format!(
                "{what} of {size} bytes is larger than the {most} bytes that {} binds at once",
                self.gpu.name()
            );
            return Err(Error::Device { op: "webgpu", message });
        }
        if let Some(buffer) = &self.instead {
            let (buffer, id) = (buffer.clone(), self.next.fetch_add(1, Ordering::Relaxed));
            self.all.fetch_add(size, Ordering::Relaxed);
            return Ok(Arc::new(Raw { id, buffer, size, last_use: AtomicU64::new(0), all: self.all.clone() }));
        }
        if self.all.load(Ordering::Relaxed).saturating_add(size) > self.max_memory {
            return Err(Error::OutOfMemory { what: format!("{what} on the GPU"), bytes: size });
        }
        use wgpu::BufferUsages as Usage;
        let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let buffer = self.gpu.buffer(what, size, usage)?;
        Stats::add(&self.stats.buffers, 1);
        self.all.fetch_add(size, Ordering::Relaxed);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Raw { id, buffer, size, last_use: AtomicU64::new(0), all: self.all.clone() }))
    }

    /// Gives all that waits back to the system. Was there anything?
    fn release(&self) -> bool {
        let mut free = self.free();
        free.by_size.clear();
        free.bytes = 0;
        let (raws, before) = (std::mem::take(&mut free.raws), free.destroyed.len());
        free.destroyed.extend(raws.keys());
        free.destroyed.len() > before
    }

    fn give_back(&self, raw: Arc<Raw>) {
        let mut free = self.free();
        if raw.size > KEPT || free.bytes + raw.size > WAITING {
            free.destroyed.push(raw.id);
            return;
        }
        free.bytes += raw.size;
        free.by_size.entry(raw.size).or_default().insert(raw.id);
        free.raws.insert(raw.id, raw);
    }

    /// Buffers that went since this was last asked.
    pub fn destroyed(&self) -> Vec<u64> {
        std::mem::take(&mut self.free().destroyed)
    }
}
