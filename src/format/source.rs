//! Where bytes of a file come from: memory, a memory map, a browser's file, a network.

use crate::{
    backend::{LocalFuture, Upload, cpu::Buffer},
    error::{Error, Result},
};

/// Reads of sources that are not in memory are cut into pieces of this many bytes, so that what is in flight beside
/// the tensor being filled stays small.
pub const PIECE: usize = 8 << 20;

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
    /// Hands `len` bytes from `offset` to a device in pieces of at most [`PIECE`] bytes, which is all that is ever held here of
    /// them. Callers check the range, as for [`ByteSource::read`].
    fn pour<'a>(&'a self, offset: u64, len: usize, into: &'a mut dyn Upload) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            for start in (0..len).step_by(PIECE) {
                let (at, want) = (offset + start as u64, PIECE.min(len - start));
                let part = self.read(at, want).await?;
                if part.len() != want {
                    let message = format!("asked for {want} bytes at {at}, was given {}", part.len());
                    return Err(Error::format(self.name(), message));
                }
                into.write(part.bytes()).await?;
            }
            Ok(())
        })
    }
    /// Do bytes come in the file's order, so that reading them in another costs more (a download)?
    fn is_stream(&self) -> bool {
        false
    }
    /// The most bytes to ask for in one read. Sources that hold the file in memory already take any length.
    fn max_read(&self) -> usize {
        PIECE
    }
}

/// `len` bytes from `offset`, which must lie inside the source, read in pieces of at most
/// [`max_read`](ByteSource::max_read) into one buffer.
pub async fn read_all(source: &dyn ByteSource, offset: u64, len: usize) -> Result<Buffer> {
    check_range(source, offset, len)?;
    let piece = source.max_read().max(1);
    if len <= piece {
        let buffer = source.read(offset, len).await?;
        check_length(source, offset, len, buffer.len())?;
        return Ok(buffer);
    }
    let mut whole = Buffer::zeroed(len)?;
    for start in (0..len).step_by(piece) {
        let want = piece.min(len - start);
        let at = offset + start as u64;
        let part = source.read(at, want).await?;
        check_length(source, at, want, part.len())?;
        whole.bytes_mut()[start..start + want].copy_from_slice(part.bytes());
    }
    Ok(whole)
}

/// An error unless `offset..offset + len` lies inside the source.
pub(crate) fn check_range(source: &dyn ByteSource, offset: u64, len: usize) -> Result<()> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= source.len() => Ok(()),
        _ => {
            let message = format!("ends at byte {}, wanted {len} bytes at {offset}", source.len());
            Err(Error::format(source.name(), message))
        }
    }
}

/// Sources are written by others too (a page's JavaScript): what they return is checked, not trusted.
fn check_length(source: &dyn ByteSource, offset: u64, want: usize, got: usize) -> Result<()> {
    if got == want {
        return Ok(());
    }
    Err(Error::format(source.name(), format!("asked for {want} bytes at {offset}, was given {got}")))
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
            check_range(self, offset, len)?;
            // The range was checked against a length that is a `usize`, so the offset is one too.
            let start = offset as usize;
            Buffer::copy_from(&self.bytes[start..start + len])
        })
    }
    fn max_read(&self) -> usize {
        usize::MAX
    }
}
