//! safetensors: an 8-byte length, a JSON header, then the tensors' bytes without gaps.
//!
//! The header is parsed here, not by the `safetensors` crate, because that crate wants the file in one slice and
//! counts offsets in `usize`, which on wasm32 ends at 4 GiB. The tests hold this reader against the crate's writer and
//! our writer against the crate's reader.

mod read;
mod write;

pub(super) use read::is_safetensors;
pub use read::{Index, read_header};
pub use write::writer;

use crate::DType;

/// Longest JSON header, in bytes (the limit of the format's own library).
const MAX_HEADER: u64 = 100_000_000;
/// The header entry that holds strings instead of a tensor.
const METADATA_KEY: &str = "__metadata__";

/// Names of dtypes in the header.
const DTYPES: [(&str, DType); 8] = [
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F64", DType::F64),
    ("I64", DType::I64),
    ("I32", DType::I32),
    ("U32", DType::U32),
    ("U8", DType::U8),
];
