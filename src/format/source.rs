//! Where bytes of a file come from: memory, a memory map, a browser's file, a network.

use crate::{
    backend::{LocalFuture, cpu::Buffer},
    error::{Error, Result},
};

/// Random access to the bytes of one file.
pub trait ByteSource {
    /// The file's name, for messages and for finding siblings (`model-00001-of-00003.gguf`).
    fn name(&self) -> &str;
    /// Size in bytes.
    fn len(&self) -> u64;
    /// Nothing in it?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `len` bytes from `offset`; an error when they are not all there. Callers check against [`ByteSource::len`]
    /// before they ask, so a lying header allocates nothing.
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>>;
}

/// A file held in memory.
pub struct MemorySource {
    name: String,
    bytes: Vec<u8>,
}

impl MemorySource {
    /// Bytes under a name.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

impl ByteSource for MemorySource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>> {
        Box::pin(async move {
            let range = usize::try_from(offset).ok().and_then(|o| Some(o..o.checked_add(len)?));
            match range.and_then(|r| self.bytes.get(r)) {
                Some(bytes) => Buffer::copy_from(bytes),
                None => {
                    let size = self.bytes.len();
                    Err(Error::format(&self.name, format!("ends at byte {size}, wanted {len} bytes at {offset}")))
                }
            }
        })
    }
}
