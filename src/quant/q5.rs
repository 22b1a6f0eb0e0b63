//! Q5_0 and Q5_1: 32 values of 5 bits, with an f16 scale and, in Q5_1, an f16 minimum.
//!
//! The low four bits are stored as in Q4_0; bit `i` of a 32-bit word is the fifth bit of value `i`.

use super::{Block, extreme, f16_at, min_max, put_f16, q4::pack_nibbles, reciprocal};
use crate::dtype::DType;

/// `d: f16, high: u32, nibbles: [u8; 16]`; value = d * (q - 16).
pub(super) struct Q5_0;
/// `d: f16, m: f16, high: u32, nibbles: [u8; 16]`; value = d * q + m.
pub(super) struct Q5_1;

/// The 32 numbers of 0..=31 whose fifth bits and nibbles are `packed`.
fn unpack(packed: &[u8]) -> [u8; 32] {
    let high = u32::from_le_bytes([packed[0], packed[1], packed[2], packed[3]]);
    let mut q = [0; 32];
    for (i, &b) in packed[4..20].iter().enumerate() {
        q[i] = (b & 15) | ((high >> i) as u8 & 1) << 4;
        q[16 + i] = (b >> 4) | ((high >> (16 + i)) as u8 & 1) << 4;
    }
    q
}

fn pack(q: &[u8; 32], out: &mut [u8]) {
    let high = q.iter().enumerate().fold(0u32, |bits, (i, q)| bits | ((*q >> 4) as u32 & 1) << i);
    out[..4].copy_from_slice(&high.to_le_bytes());
    pack_nibbles(q, &mut out[4..]);
}

impl Block for Q5_0 {
    const DTYPE: DType = DType::Q5_0;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let d = f16_at(block, 0);
        for (v, q) in values.iter_mut().zip(unpack(&block[2..])) {
            *v = d * (q as i32 - 16) as f32;
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let d = extreme(values) / -16.0;
        let inverse = reciprocal(d);
        let mut q = [0; 32];
        for (q, v) in q.iter_mut().zip(values) {
            *q = ((v * inverse + 16.5) as u8).min(31);
        }
        put_f16(block, 0, d);
        pack(&q, &mut block[2..]);
    }
}

impl Block for Q5_1 {
    const DTYPE: DType = DType::Q5_1;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let (d, m) = (f16_at(block, 0), f16_at(block, 2));
        for (v, q) in values.iter_mut().zip(unpack(&block[4..])) {
            *v = d * q as f32 + m;
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let (min, max) = min_max(values);
        let d = (max - min) / 31.0;
        let inverse = reciprocal(d);
        let mut q = [0; 32];
        for (q, v) in q.iter_mut().zip(values) {
            *q = (((v - min) * inverse + 0.5) as u8).min(31);
        }
        put_f16(block, 0, d);
        put_f16(block, 2, min);
        pack(&q, &mut block[4..]);
    }
}
