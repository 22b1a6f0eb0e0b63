//! GGUF, the file format of ggml: metadata, a table of tensors, then their bytes, aligned.
//!
//! Versions 2 and 3, little-endian. The layout is described in ggml's `docs/gguf.md`.

mod read;
mod write;

#[cfg(feature = "python")]
pub(super) use read::check_disjoint;
pub use read::read_header;
pub use write::writer;

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"GGUF";
/// The version that [`writer`] writes.
pub const VERSION: u32 = 3;
/// Alignment of tensor data where the file does not say.
pub const DEFAULT_ALIGNMENT: u64 = 32;
/// The key that sets the alignment.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// Ids of metadata value types in the file.
mod id {
    pub const U8: u32 = 0;
    pub const I8: u32 = 1;
    pub const U16: u32 = 2;
    pub const I16: u32 = 3;
    pub const U32: u32 = 4;
    pub const I32: u32 = 5;
    pub const F32: u32 = 6;
    pub const BOOL: u32 = 7;
    pub const STRING: u32 = 8;
    pub const ARRAY: u32 = 9;
    pub const U64: u32 = 10;
    pub const I64: u32 = 11;
    pub const F64: u32 = 12;
}

/// Tensor types of ggml that [`DType`](crate::DType) does not have: id, name, elements per block, bytes per block.
const UNSUPPORTED: [(u32, &str, u64, u64); 16] = [
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (29, "IQ1_M", 256, 56),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];
