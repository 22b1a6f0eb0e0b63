//! Q8_K: 256 values of 8 bits with an f32 scale, and the sums of each 16 of them.

use super::{Block, extreme, reciprocal};
use crate::dtype::DType;

/// `d: f32, q: [i8; 256], sums: [i16; 16]`; value = d * q.
pub(super) struct Q8K;

impl Block for Q8K {
    const DTYPE: DType = DType::Q8_K;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
        for (v, &q) in values.iter_mut().zip(&block[4..260]) {
            *v = d * (q as i8) as f32;
        }
    }
    /// The value of largest magnitude becomes -127, as in ggml, so the scale may be negative.
    fn quantize(values: &[f32], block: &mut [u8]) {
        let inverse = if extreme(values) == 0.0 { 0.0 } else { -127.0 / extreme(values) };
        block[..4].copy_from_slice(&reciprocal(inverse).to_le_bytes());
        let (q, sums) = block[4..].split_at_mut(256);
        for (q, v) in q.iter_mut().zip(values) {
            *q = (v * inverse).round_ties_even().min(127.0) as i8 as u8;
        }
        for (sum, q) in sums.chunks_exact_mut(2).zip(q.chunks_exact(16)) {
            let total: i16 = q.iter().map(|&q| i16::from(q as i8)).sum();
            sum.copy_from_slice(&total.to_le_bytes());
        }
    }
}
