//! Bytes in main memory: owned and aligned for vectors, or a range of a memory-mapped file.

use crate::{
    dtype::Element,
    error::{Error, Result},
};
use std::fmt;
#[cfg(not(target_arch = "wasm32"))]
use std::{ops::Range, sync::Arc};

/// One cache line: owned memory is allocated in these, so any element type and vector load is aligned.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes of a tensor in main memory.
#[derive(Clone)]
pub struct Buffer(Inner);

#[derive(Clone)]
enum Inner {
    Owned {
        lines: Vec<Line>,
        len: usize,
    },
    #[cfg(not(target_arch = "wasm32"))]
    Mapped {
        map: Arc<memmap2::Mmap>,
        range: Range<usize>,
    },
}

/// Memory of tensors that are gone, kept for the next ones: fresh memory from the system costs more than most operations on
/// it. WebAssembly's memory is too scarce for this.
#[cfg(not(target_arch = "wasm32"))]
mod kept {
    use super::Line;
    use std::sync::{Mutex, PoisonError};

    /// Smaller ones are left to the allocator, larger ones to the system; in lines.
    const SIZES: std::ops::Range<usize> = 64..1 << 20;
    /// Lines kept in all: 64 MB.
    const LIMIT: usize = 1 << 20;

    /// The oldest first.
    static KEPT: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

    /// Memory of at least so many lines and not many more, holding anything.
    pub fn take(lines: usize) -> Option<Vec<Line>> {
        if !SIZES.contains(&lines) {
            return None;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        // The last is most likely still in a cache.
        let at = kept.iter().rposition(|k| (lines..=lines + lines / 4).contains(&k.len()))?;
        Some(kept.remove(at))
    }

    pub fn keep(lines: Vec<Line>) {
        if !SIZES.contains(&lines.len()) {
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = kept.iter().map(Vec::len).sum::<usize>() + lines.len();
        kept.push(lines);
        let too_old = kept.iter().position(|k| {
            let fits = total <= LIMIT;
            total -= k.len();
            fits
        });
        kept.drain(..too_old.unwrap_or(0));
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Drop for Buffer {
    fn drop(&mut self) {
        if let Inner::Owned { lines, .. } = &mut self.0 {
            kept::keep(std::mem::take(lines));
        }
    }
}

impl Buffer {
    /// Memory that holds anything, for a result that is written as a whole.
    pub(crate) fn unwritten(len: usize) -> Result<Self> {
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(lines) = kept::take(len.div_ceil(64)) {
            return Ok(Self(Inner::Owned { lines, len }));
        }
        #[cfg(not(target_arch = "wasm32"))]
        return Self::zeroed(len);
        #[cfg(target_arch = "wasm32")]
        Self::as_it_is(len)
    }
    /// Memory as the allocator gives it: WebAssembly's has been zeroed by the host, or holds what was there before.
    #[cfg(target_arch = "wasm32")]
    fn as_it_is(len: usize) -> Result<Self> {
        let count = len.div_ceil(64);
        let mut lines = Vec::<Line>::new();
        lines
            .try_reserve_exact(count)
            .map_err(|_| Error::OutOfMemory { what: "a tensor".into(), bytes: len as u64 })?;
        // SAFETY: there is room for so many, and any bytes in WebAssembly's linear memory, which has no uninitialised ones, make
        // a line; kernels write all of them before any is read.
        #[allow(clippy::uninit_vec, reason = "zeroing costs as much as most operations on the memory")]
        unsafe {
            lines.set_len(count);
        }
        Ok(Self(Inner::Owned { lines, len }))
    }
    /// Zeroed memory; an error, not an abort, when there is not enough.
    pub fn zeroed(len: usize) -> Result<Self> {
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(mut lines) = kept::take(len.div_ceil(64)) {
            lines.fill(Line([0; 64]));
            return Ok(Self(Inner::Owned { lines, len }));
        }
        let lines = bytemuck::try_zeroed_slice_box::<Line>(len.div_ceil(64))
            .map_err(|()| Error::OutOfMemory { what: "a tensor".into(), bytes: len as u64 })?;
        Ok(Self(Inner::Owned { lines: lines.into_vec(), len }))
    }
    /// A copy of the bytes, aligned.
    pub fn copy_from(bytes: &[u8]) -> Result<Self> {
        let mut buffer = Self::unwritten(bytes.len())?;
        buffer.bytes_mut().copy_from_slice(bytes);
        Ok(buffer)
    }
    /// A copy of the elements.
    pub fn from_slice<T: Element>(values: &[T]) -> Result<Self> {
        Self::copy_from(bytemuck::cast_slice(values))
    }
    /// A range of a memory-mapped file, shared, not copied. The range must be inside the map.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn mapped(map: Arc<memmap2::Mmap>, range: Range<usize>) -> Result<Self> {
        if range.start > range.end || range.end > map.len() {
            let message = format!("range {range:?} is outside a map of {} bytes", map.len());
            return Err(Error::argument("mapped", message));
        }
        Ok(Self(Inner::Mapped { map, range }))
    }
    /// Size in bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Inner::Owned { len, .. } => *len,
            #[cfg(not(target_arch = "wasm32"))]
            Inner::Mapped { range, .. } => range.len(),
        }
    }
    /// Nothing in it?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Inner::Owned { lines, len } => &bytemuck::cast_slice(lines)[..*len],
            #[cfg(not(target_arch = "wasm32"))]
            Inner::Mapped { map, range } => &map[range.clone()],
        }
    }
    /// All bytes, writable; a mapped range is copied first (files are never written through a tensor).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        #[cfg(not(target_arch = "wasm32"))]
        if let Inner::Mapped { map, range } = &self.0 {
            let bytes = &map[range.clone()];
            let mut lines = vec![Line([0; 64]); bytes.len().div_ceil(64)];
            bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(bytes);
            self.0 = Inner::Owned { lines, len: bytes.len() };
        }
        match &mut self.0 {
            Inner::Owned { lines, len } => &mut bytemuck::cast_slice_mut(lines)[..*len],
            #[cfg(not(target_arch = "wasm32"))]
            Inner::Mapped { .. } => unreachable!("copied above"),
        }
    }
    /// The elements as `T`; an error if the bytes are not whole, aligned elements.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        bytemuck::try_cast_slice(self.bytes())
            .map_err(|e| Error::dtype("buffer", format!("{} bytes as {}: {e}", self.len(), T::DTYPE)))
    }
    /// The elements as `T`, writable.
    pub fn as_slice_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        let len = self.len();
        bytemuck::try_cast_slice_mut(self.bytes_mut())
            .map_err(|e| Error::dtype("buffer", format!("{len} bytes as {}: {e}", T::DTYPE)))
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self(Inner::Owned { lines: Vec::new(), len: 0 })
    }
}
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len())
    }
}
