//! Element types: plain numbers and the GGUF block formats, one enum for both.

use crate::error::{Error, Result};
use half::{bf16, f16};
use std::fmt;

/// The type of a tensor's elements. Block formats (`Q*`) store groups of elements of the last dimension
/// together; such tensors are weights: they are read by matmul, embedding and cast, never written by operations.
#[allow(non_camel_case_types, missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    F16,
    BF16,
    F64,
    I64,
    I32,
    U32,
    U8,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
}

/// name, elements per block, bytes per block, id in GGUF files
type Row = (DType, &'static str, usize, usize, u32);
const TABLE: [Row; 20] = [
    (DType::F32, "f32", 1, 4, 0),
    (DType::F16, "f16", 1, 2, 1),
    (DType::BF16, "bf16", 1, 2, 30),
    (DType::F64, "f64", 1, 8, 28),
    (DType::I64, "i64", 1, 8, 27),
    (DType::I32, "i32", 1, 4, 26),
    (DType::U32, "u32", 1, 4, u32::MAX),
    (DType::U8, "u8", 1, 1, u32::MAX),
    (DType::Q4_0, "q4_0", 32, 18, 2),
    (DType::Q4_1, "q4_1", 32, 20, 3),
    (DType::Q5_0, "q5_0", 32, 22, 6),
    (DType::Q5_1, "q5_1", 32, 24, 7),
    (DType::Q8_0, "q8_0", 32, 34, 8),
    (DType::Q8_1, "q8_1", 32, 36, 9),
    (DType::Q2_K, "q2_k", 256, 84, 10),
    (DType::Q3_K, "q3_k", 256, 110, 11),
    (DType::Q4_K, "q4_k", 256, 144, 12),
    (DType::Q5_K, "q5_k", 256, 176, 13),
    (DType::Q6_K, "q6_k", 256, 210, 14),
    (DType::Q8_K, "q8_k", 256, 292, 15),
];

impl DType {
    /// Every dtype.
    pub const ALL: [DType; 20] = {
        let mut all = [DType::F32; 20];
        let mut i = 0;
        while i < 20 {
            all[i] = TABLE[i].0;
            i += 1;
        }
        all
    };

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
    /// Lower-case name: `f32`, `q4_k` …
    pub fn name(self) -> &'static str {
        self.row().1
    }
    /// The dtype of that name, in either case.
    pub fn from_name(name: &str) -> Result<Self> {
        TABLE.iter().find(|r| r.1.eq_ignore_ascii_case(name)).map(|r| r.0).ok_or_else(|| {
            let known: Vec<_> = TABLE.iter().map(|r| r.1).collect();
            Error::argument("dtype", format!("unknown dtype {name:?}; known are {}", known.join(", ")))
        })
    }
    /// Elements per block: 1 for plain numbers, 32 or 256 for block formats.
    pub fn block_len(self) -> usize {
        self.row().2
    }
    /// Bytes per block (of one element for plain numbers).
    pub fn block_bytes(self) -> usize {
        self.row().3
    }
    /// Is this a GGUF block format?
    pub fn is_quantized(self) -> bool {
        self.block_len() > 1
    }
    /// f16, bf16, f32 or f64?
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64)
    }
    /// i64, i32, u32 or u8?
    pub fn is_int(self) -> bool {
        matches!(self, Self::I64 | Self::I32 | Self::U32 | Self::U8)
    }
    /// Bytes of `elements` elements; `None` when they do not fill whole blocks or the size overflows.
    pub fn bytes_for(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        (elements / self.block_len()).checked_mul(self.block_bytes())
    }
    /// The dtype with this type id in a GGUF file.
    pub fn from_gguf_id(id: u32) -> Option<Self> {
        TABLE.iter().find(|r| r.4 == id && id != u32::MAX).map(|r| r.0)
    }
    /// The type id in a GGUF file, where the format has one.
    pub fn gguf_id(self) -> Option<u32> {
        Some(self.row().4).filter(|&id| id != u32::MAX)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that is an element of a plain tensor.
pub trait Element: bytemuck::Pod + PartialOrd + Send + Sync + fmt::Debug + 'static {
    /// Its dtype.
    const DTYPE: DType;
}
macro_rules! element {
    ($($t:ty => $d:ident),*) => { $(impl Element for $t { const DTYPE: DType = DType::$d; })* };
}
element!(f32 => F32, f16 => F16, bf16 => BF16, f64 => F64, i64 => I64, i32 => I32, u32 => U32, u8 => U8);

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn table_is_in_enum_order() {
        for (i, d) in DType::ALL.into_iter().enumerate() {
            assert_eq!(d as usize, i);
            assert_eq!(DType::from_name(d.name()).unwrap(), d);
            if let Some(id) = d.gguf_id() {
                assert_eq!(DType::from_gguf_id(id), Some(d));
            }
        }
    }
}
