//! Q4_K: 256 values of 4 bits; each group of 32 has a 6-bit scale and a 6-bit minimum.
//!
//! Byte `32p + l` holds value `64p + l` in its low nibble and value `64p + 32 + l` in its high nibble.

use super::{
    Block, f16_at, put_f16, reciprocal,
    search::{magnitude_weights, round_to, scale_and_min},
};
use crate::dtype::DType;

/// `d: f16, dmin: f16, scales: [u8; 12], nibbles: [u8; 128]`; value = d * scale * q - dmin * minimum.
pub(super) struct Q4K;

/// The 8 scales and 8 minimums, 0..=63, of their 12 packed bytes (shared by Q4_K and Q5_K).
#[inline(always)]
pub(crate) fn unpack_scales_mins(packed: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    // four bytes at a time
    let word = |i: usize| u32::from_le_bytes([packed[i], packed[i + 1], packed[i + 2], packed[i + 3]]);
    let (a, b, c) = (word(0), word(4), word(8));
    let join = |low: u32, high: u32| (u64::from(low) | u64::from(high) << 32).to_le_bytes();
    let scales = join(a & 0x3f3f_3f3f, (c & 0x0f0f_0f0f) | (a >> 2 & 0x3030_3030));
    let mins = join(b & 0x3f3f_3f3f, (c >> 4 & 0x0f0f_0f0f) | (b >> 2 & 0x3030_3030));
    (scales, mins)
}

pub(crate) fn pack_scales_mins(scales: &[u8], mins: &[u8], packed: &mut [u8]) {
    for i in 0..4 {
        packed[i] = scales[i] | (scales[4 + i] >> 4) << 6;
        packed[4 + i] = mins[i] | (mins[4 + i] >> 4) << 6;
        packed[8 + i] = (scales[4 + i] & 15) | (mins[4 + i] & 15) << 4;
    }
}

/// Scale and minus-minimum of every group of 32, as f32 (the head of Q4_K and Q5_K blocks).
pub(super) fn group_scales(block: &[u8]) -> ([f32; 8], [f32; 8]) {
    let (d, dmin) = (f16_at(block, 0), f16_at(block, 2));
    let (scales, mins) = unpack_scales_mins(block[4..].first_chunk().unwrap_or(&[0; 12]));
    (scales.map(|s| d * f32::from(s)), mins.map(|m| dmin * f32::from(m)))
}

/// Chooses and writes scales and minimums of the 8 groups, and gives the 256 integers of `0..=top`.
pub(super) fn quantize_groups(values: &[f32], top: u8, trials: (f32, f32, u32), block: &mut [u8]) -> [u8; 256] {
    let (mut scales, mut mins) = ([0.0f32; 8], [0.0f32; 8]);
    for (g, group) in values.chunks_exact(32).enumerate() {
        (scales[g], mins[g]) = scale_and_min(group, &magnitude_weights(group), top, trials, false);
    }
    let top_scale = scales.iter().fold(0.0f32, |m, &s| m.max(s));
    let top_min = mins.iter().fold(0.0f32, |m, &s| m.max(s));
    let small_scales = scales.map(|s| round_to(63.0 * reciprocal(top_scale) * s, 63));
    let small_mins = mins.map(|m| round_to(63.0 * reciprocal(top_min) * m, 63));
    pack_scales_mins(&small_scales, &small_mins, &mut block[4..16]);
    put_f16(block, 0, top_scale / 63.0);
    put_f16(block, 2, top_min / 63.0);
    // round against the scales as stored, not as found
    let (scales, mins) = group_scales(block);
    let mut q = [0; 256];
    for (i, (q, x)) in q.iter_mut().zip(values).enumerate() {
        *q = round_to((x + mins[i / 32]) * reciprocal(scales[i / 32]), top);
    }
    q
}

/// Nibbles of 256 integers, pairs of groups sharing 32 bytes.
pub(super) fn pack_nibbles(q: &[u8; 256], out: &mut [u8]) {
    for (bytes, q) in out.chunks_exact_mut(32).zip(q.chunks_exact(64)) {
        for (l, b) in bytes.iter_mut().enumerate() {
            *b = (q[l] & 15) | (q[32 + l] & 15) << 4;
        }
    }
}

impl Block for Q4K {
    const DTYPE: DType = DType::Q4_K;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let (scales, mins) = group_scales(block);
        for (g, values) in values.chunks_exact_mut(32).enumerate() {
            let bytes = &block[16 + g / 2 * 32..][..32];
            for (v, b) in values.iter_mut().zip(bytes) {
                *v = scales[g] * (b >> (g % 2 * 4) & 15) as f32 - mins[g];
            }
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let q = quantize_groups(values, 15, (-1.0, 0.1, 20), block);
        pack_nibbles(&q, &mut block[16..]);
    }
}
