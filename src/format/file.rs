//! Files on disk, memory-mapped.

use super::source::{ByteSource, check_range};
use crate::{
    backend::{LocalFuture, cpu::Buffer},
    error::{Error, Result},
};
use std::{fs::File, path::Path, sync::Arc};

/// A file on disk, memory-mapped: reads share the map and copy nothing.
///
/// The file must not be shortened while it is open (by anyone): the system ends a process that touches mapped bytes
/// that are gone. The downloader of this crate never writes into a file that has its final name.
pub struct FileSource {
    name: String,
    map: Arc<memmap2::Mmap>,
}

impl FileSource {
    /// Opens and maps a file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.display().to_string(), source };
        let file = File::open(path).map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(io(std::io::Error::other("is not a regular file")));
        }
        // SAFETY: the map is read-only and private to this crate; that nobody shortens the file meanwhile is asked of
        // the caller above, as with every memory-mapped file.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, map: Arc::new(map) })
    }
}

impl ByteSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.map.len() as u64
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>> {
        Box::pin(async move {
            check_range(self, offset, len)?;
            // The range was checked against a length that is a `usize`, so the offset is one too.
            let start = offset as usize;
            Buffer::mapped(self.map.clone(), start..start + len)
        })
    }
    fn max_read(&self) -> usize {
        usize::MAX
    }
}
