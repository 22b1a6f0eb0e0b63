//! Model files: readers over any byte source, and writers.
//!
//! [`Checkpoint`] is the one face over all of them: it finds out from the first bytes what each source is, checks the
//! headers, and reads one tensor at a time. [`gguf`], [`safetensors`], `npy` and `pytorch` hold what is particular to a
//! format; the last two are there with the feature `python`.
//!
//! Every count, length and offset in a file is checked against the file's size before memory is asked for; what is
//! wrong is an [`Error::Format`](crate::Error::Format) that names the file, the key or tensor, and the offset.

pub mod checkpoint;
#[cfg(feature = "python")]
mod encoding;
#[cfg(not(target_arch = "wasm32"))]
pub mod file;
#[cfg(feature = "whisper")]
pub mod ggml;
pub mod gguf;
pub mod metadata;
#[cfg(feature = "python")]
pub mod npy;
#[cfg(feature = "python")]
pub mod pytorch;
pub mod safetensors;
pub mod source;
pub mod write;
#[cfg(feature = "python")]
mod zip;

pub use checkpoint::{Checkpoint, Kind, read_header};
#[cfg(not(target_arch = "wasm32"))]
pub use file::FileSource;
pub use metadata::{Metadata, Value};
pub use source::{ByteSource, MemorySource};
pub use write::{TensorSpec, TensorWriter};

use crate::{DType, Shape};

/// One tensor of a file, as its header describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its name, as the file spells it.
    pub name: String,
    /// Element type or block format.
    pub dtype: DType,
    /// Sizes, outermost first (PyTorch's order; GGUF files store the reverse).
    pub shape: Shape,
    /// Where its bytes begin, counted from the start of its file.
    pub offset: u64,
    /// How many bytes it has, once read.
    pub bytes: usize,
    /// Which of a checkpoint's sources holds it.
    pub source: usize,
    /// What is to be done with the bytes when they are read; `None` if they are plain elements in row-major order.
    pub encoding: Option<Box<Encoding>>,
}

#[cfg(feature = "python")]
pub use encoding::Encoding;
/// Without the feature `python`, no format needs any.
#[cfg(not(feature = "python"))]
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {}

/// A tensor whose type this crate has no use for. The rest of the file stays readable; asking for this one is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsupportedTensor {
    /// Its name, as the file spells it.
    pub name: String,
    /// Its type, as the format calls it (`IQ4_XS`, `BOOL` …).
    pub dtype: String,
    /// Sizes, outermost first.
    pub shape: Shape,
    /// How many bytes it has.
    pub bytes: u64,
}

/// What the header of one file says: its tensors, all checked against the file's size.
#[derive(Debug, Default)]
pub struct Header {
    /// Key-value pairs: GGUF metadata, or safetensors' `__metadata__` strings.
    pub metadata: Metadata,
    /// Tensors in file order.
    pub tensors: Vec<TensorInfo>,
    /// Tensors of types that cannot be read.
    pub unsupported: Vec<UnsupportedTensor>,
}

/// Elements of a shape read from a file; `None` when the product of the sizes overflows, even if one of them is zero
/// (strides are products too).
fn checked_elements(dims: &[u64]) -> Option<u64> {
    let product = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d.max(1)))?;
    if dims.contains(&0) { Some(0) } else { Some(product) }
}
