//! Q4_0 and Q4_1: 32 values of 4 bits, with an f16 scale and, in Q4_1, an f16 minimum.
//!
//! Value `i` is in the low nibble of byte `i`, value `16 + i` in its high nibble.

use super::{Block, extreme, f16_at, min_max, put_f16, reciprocal};
use crate::dtype::DType;

/// `d: f16, nibbles: [u8; 16]`; value = d * (q - 8).
pub(super) struct Q4_0;
/// `d: f16, m: f16, nibbles: [u8; 16]`; value = d * q + m.
pub(super) struct Q4_1;

/// Nibbles of both halves from 32 numbers of 0..=15.
pub(super) fn pack_nibbles(q: &[u8; 32], out: &mut [u8]) {
    for i in 0..16 {
        out[i] = (q[i] & 15) | (q[16 + i] << 4);
    }
}

impl Block for Q4_0 {
    const DTYPE: DType = DType::Q4_0;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let d = f16_at(block, 0);
        let (low, high) = values.split_at_mut(16);
        for ((&b, low), high) in block[2..18].iter().zip(low).zip(high) {
            *low = d * ((b & 15) as i32 - 8) as f32;
            *high = d * ((b >> 4) as i32 - 8) as f32;
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let d = extreme(values) / -8.0;
        let inverse = reciprocal(d);
        let mut q = [0; 32];
        for (q, v) in q.iter_mut().zip(values) {
            *q = ((v * inverse + 8.5) as u8).min(15);
        }
        put_f16(block, 0, d);
        pack_nibbles(&q, &mut block[2..]);
    }
}

impl Block for Q4_1 {
    const DTYPE: DType = DType::Q4_1;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let (d, m) = (f16_at(block, 0), f16_at(block, 2));
        let (low, high) = values.split_at_mut(16);
        for ((&b, low), high) in block[4..20].iter().zip(low).zip(high) {
            *low = d * (b & 15) as f32 + m;
            *high = d * (b >> 4) as f32 + m;
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let (min, max) = min_max(values);
        let d = (max - min) / 15.0;
        let inverse = reciprocal(d);
        let mut q = [0; 32];
        for (q, v) in q.iter_mut().zip(values) {
            *q = (((v - min) * inverse + 0.5) as u8).min(15);
        }
        put_f16(block, 0, d);
        put_f16(block, 2, min);
        pack_nibbles(&q, &mut block[4..]);
    }
}
