//! Writing model files: the header first, since sizes follow from dtypes and shapes, then one tensor at a time.

use crate::{
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
};
use indexmap::IndexMap;
use std::io::{Seek, SeekFrom, Write};

/// A tensor that is going to be written.
#[derive(Clone, Debug)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Element type or block format.
    pub dtype: DType,
    /// Sizes, outermost first.
    pub shape: Shape,
}

impl TensorSpec {
    /// Bytes it takes; an error when its rows are not whole blocks.
    pub(crate) fn bytes(&self) -> Result<u64> {
        let row = self.shape.dims().last().copied().unwrap_or(1);
        let elements = self.shape.checked_elements().filter(|_| row.is_multiple_of(self.dtype.block_len()));
        elements.and_then(|n| self.dtype.bytes_for(n)).map(|n| n as u64).ok_or_else(|| {
            let message = format!("shape {} cannot be stored as {}: rows must be whole blocks", self.shape, self.dtype);
            Error::weight(&self.name, message)
        })
    }
}

/// A file whose header is written and whose tensors are being written, in any order, each as a whole.
/// Made by [`gguf::writer`](super::gguf::writer) and [`safetensors::writer`](super::safetensors::writer).
pub struct TensorWriter<W> {
    out: W,
    file: String,
    /// Where each tensor goes, and how many bytes it has; those written are taken out.
    pending: IndexMap<String, (u64, u64)>,
    /// Where `out` stands, counted from the file's start.
    position: u64,
    /// Size of the whole file.
    end: u64,
}

impl<W: Write + Seek> TensorWriter<W> {
    /// Writes `header` at the current position of `out`, which must be an empty file.
    pub(crate) fn start(
        mut out: W,
        file: &str,
        header: &[u8],
        places: IndexMap<String, (u64, u64)>,
        end: u64,
    ) -> Result<Self> {
        let io = |source| Error::Io { path: file.to_string(), source };
        out.write_all(header).map_err(io)?;
        Ok(Self { out, file: file.to_string(), pending: places, position: header.len() as u64, end })
    }
    fn io(&self) -> impl Fn(std::io::Error) -> Error + use<W> {
        let path = self.file.clone();
        move |source| Error::Io { path: path.clone(), source }
    }
    /// Writes all bytes of the tensor `name`.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(&(offset, len)) = self.pending.get(name) else {
            return Err(Error::weight(name, format!("is not expected in {}, or is written already", self.file)));
        };
        if bytes.len() as u64 != len {
            return Err(Error::weight(name, format!("takes {len} bytes in {}, was given {}", self.file, bytes.len())));
        }
        self.pending.swap_remove(name);
        if offset != self.position {
            self.out.seek_relative(offset as i64 - self.position as i64).map_err(self.io())?;
        }
        self.out.write_all(bytes).map_err(self.io())?;
        self.position = offset + len;
        Ok(())
    }
    /// Checks that every tensor has been written, pads the file, and gives the output back, flushed.
    pub fn finish(mut self) -> Result<W> {
        if let Some(name) = self.pending.keys().next() {
            let message = format!("and {} more were not written to {}", self.pending.len() - 1, self.file);
            return Err(Error::weight(name, message));
        }
        // Gaps between tensors read as zeros already; only the padding after the last one needs a byte.
        let size = self.out.seek(SeekFrom::End(0)).map_err(self.io())?;
        if size < self.end {
            self.out.seek_relative((self.end - size) as i64 - 1).map_err(self.io())?;
            self.out.write_all(&[0]).map_err(self.io())?;
        }
        self.out.flush().map_err(self.io())?;
        Ok(self.out)
    }
}
