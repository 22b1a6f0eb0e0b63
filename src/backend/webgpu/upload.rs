//! Bytes on their way to the device: in pieces, of which no more than a bound are under way at once. In a browser they come
//! straight from JavaScript's memory.

use super::{
    WebGpuBackend,
    memory::{Encoding, Memory},
    recorder::Recorder,
    split::{Part, Split, part_elements},
    stats::Stats,
    unheld,
};
use crate::{
    backend::{LocalFuture, Storage, Upload},
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
};
use std::sync::Arc;

/// Bytes handed to the queue at once.
const PIECE: usize = 8 << 20;

/// A tensor that is being filled.
pub(super) struct Filling {
    recorder: Arc<Recorder>,
    target: Target,
    written: usize,
    bytes: usize,
    /// Less than a word from JavaScript, which waits for the rest of it.
    #[cfg(target_arch = "wasm32")]
    begun: Vec<u8>,
}

enum Target {
    Whole(Memory),
    /// With the first byte of each.
    Parts(Vec<(usize, Memory, usize)>),
}

impl WebGpuBackend {
    /// Memory for a tensor whose bytes are to come, in parts if it is too large for one binding.
    pub(super) fn filling(&self, dtype: DType, shape: &Shape) -> Result<Filling> {
        const WHAT: &str = "a tensor";
        let encoding = Encoding::uploaded(dtype).ok_or_else(|| unheld("upload", dtype))?;
        let (elements, row) = (shape.elements(), shape.dims().last().copied().unwrap_or(1));
        let unused = Some(self.recorder.batch());
        let bytes = encoding.bytes(elements);
        let part = part_elements(row, dtype, self.pool.most()).filter(|_| bytes as u64 > self.pool.most());
        let target = match part {
            // What is too large even so is refused there.
            None => Target::Whole(self.pool.memory(encoding, elements, unused, WHAT)?),
            Some(part) => {
                let parts = (0..elements).step_by(part).map(|first| {
                    let memory = self.pool.memory(encoding, part.min(elements - first), unused, WHAT)?;
                    Ok((encoding.bytes(first), memory, first))
                });
                Target::Parts(parts.collect::<Result<_>>()?)
            }
        };
        Stats::add(&self.stats.uploads, 1);
        let filling = Filling {
            recorder: self.recorder.clone(),
            target,
            written: 0,
            bytes,
            #[cfg(target_arch = "wasm32")]
            begun: Vec::new(),
        };
        if self.poison {
            filling.poison();
        }
        Ok(filling)
    }
}

impl Filling {
    fn memories(&self) -> Box<dyn Iterator<Item = (usize, &Memory)> + '_> {
        match &self.target {
            Target::Whole(memory) => Box::new(std::iter::once((0, memory))),
            Target::Parts(parts) => Box::new(parts.iter().map(|(first, memory, _)| (*first, memory))),
        }
    }

    /// What lies behind the elements is not to be read.
    fn poison(&self) {
        for (_, memory) in self.memories() {
            let (used, size) = (memory.encoding.bytes(memory.elements).next_multiple_of(4) as u64, memory.raw().size);
            let rest = vec![super::POISON; ((size - used) / 4) as usize];
            self.recorder.write(memory, used, bytemuck::cast_slice(&rest));
        }
    }

    /// Where the next bytes go: a memory, the place in it, and how many of `len` it takes.
    fn next(&self, len: usize) -> Result<(&Memory, u64, usize)> {
        if !self.written.is_multiple_of(4) || len > self.bytes - self.written {
            let message = format!("{len} bytes at {} of a tensor of {}", self.written, self.bytes);
            return Err(Error::Device { op: "upload", message });
        }
        let holds = |(first, memory): &(usize, &Memory)| {
            (*first..first + memory.encoding.bytes(memory.elements)).contains(&self.written)
        };
        let found = self.memories().find(holds);
        let (first, memory) =
            found.ok_or_else(|| Error::Device { op: "upload", message: "a tensor is full".into() })?;
        let at = self.written - first;
        Ok((memory, at as u64, len.min(memory.encoding.bytes(memory.elements) - at)))
    }

    /// Hands over all of `bytes` without waiting in a browser; natively the queue is waited for.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (memory, at, len) = self.next(rest.len().min(PIECE))?;
            self.recorder.upload(memory, at, &rest[..len])?;
            self.written += len;
            rest = &rest[len..];
        }
        Ok(())
    }

    /// Hands over a word, or the last bytes.
    #[cfg(target_arch = "wasm32")]
    fn put_begun(&mut self) -> Result<()> {
        if self.begun.len() == 4 || self.written + self.begun.len() == self.bytes {
            let word = std::mem::take(&mut self.begun);
            self.put(&word)?;
        }
        Ok(())
    }

    /// The memory, as it is.
    pub fn blank(mut self) -> Result<Storage> {
        self.written = self.bytes;
        self.done()
    }

    pub fn done(self) -> Result<Storage> {
        if self.written != self.bytes {
            let message = format!("{} bytes of {} were given", self.written, self.bytes);
            return Err(Error::Device { op: "upload", message });
        }
        Ok(match self.target {
            Target::Whole(memory) => Arc::new(memory),
            Target::Parts(parts) => {
                let part = |(_, memory, first): (usize, Memory, usize)| {
                    let elements = memory.elements;
                    Part { memory: Arc::new(memory), first, elements }
                };
                Arc::new(Split { parts: parts.into_iter().map(part).collect() })
            }
        })
    }
}

impl Upload for Filling {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            for piece in bytes.chunks(PIECE) {
                self.put(piece)?;
                self.recorder.room().await?;
            }
            Ok(())
        })
    }

    #[cfg(target_arch = "wasm32")]
    fn write_js<'a>(&'a mut self, bytes: &'a js_sys::Uint8Array) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let (mut from, end) = (0, bytes.length() as usize);
            if !self.begun.is_empty() {
                from = end.min(4 - self.begun.len());
                self.begun.extend(bytes.subarray(0, from as u32).to_vec());
                self.put_begun()?;
            }
            // Whole words go as they are; what is left begins the next.
            let words = from + (end - from) / 4 * 4;
            while from < words {
                let (memory, at, len) = self.next(words - from)?;
                let piece = bytes.subarray(from as u32, (from + len) as u32);
                self.recorder.upload_js(memory, at, &piece)?;
                self.written += len;
                from += len;
            }
            if from < end {
                self.begun.extend(bytes.subarray(from as u32, end as u32).to_vec());
                self.put_begun()?;
            }
            self.recorder.room().await
        })
    }

    fn finish(self: Box<Self>) -> Result<Storage> {
        self.done()
    }
}
