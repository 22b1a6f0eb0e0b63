//! Q3_K: 256 values of 3 bits; each group of 16 has a signed 6-bit scale.
//!
//! The low two bits are stored as in Q2_K. Bit `j` of mask byte `l` is the third bit of value `32j + l`; where it is
//! clear, 4 is subtracted.

use super::{Block, f16_at, put_f16, reciprocal, search::signed_scale};
use crate::dtype::DType;

/// `mask: [u8; 32], bits: [u8; 64], scales: [u8; 12], d: f16`; value = d * scale * (q - 4).
pub(super) struct Q3K;

/// The 16 scales, -32..=31, of their 12 packed bytes: nibbles first, then the upper two bits.
#[inline(always)]
pub(crate) fn unpack_scales(packed: &[u8; 12]) -> [i8; 16] {
    // four bytes at a time
    let word = |i: usize| u32::from_le_bytes([packed[i], packed[i + 1], packed[i + 2], packed[i + 3]]);
    let (a, b, high) = (word(0), word(4), word(8));
    let join = |low: u32, shift: u32| u128::from(low & 0x0f0f_0f0f | (high >> shift & 0x0303_0303) << 4);
    let all = join(a, 0) | join(b, 2) << 32 | join(a >> 4, 4) << 64 | join(b >> 4, 6) << 96;
    // 0..=63 to -32..=31 without a borrow between bytes
    let signed = (all + u128::from_ne_bytes([0x60; 16])) ^ u128::from_ne_bytes([0x80; 16]);
    signed.to_le_bytes().map(|b| b as i8)
}

pub(crate) fn pack_scales(scales: &[i8; 16], packed: &mut [u8]) {
    packed.fill(0);
    for (i, scale) in scales.iter().enumerate() {
        let unsigned = (scale + 32) as u8;
        packed[i % 8] |= (unsigned & 15) << (i / 8 * 4);
        packed[8 + i % 4] |= (unsigned >> 4) << (i / 4 * 2);
    }
}

fn packed_scales(block: &[u8]) -> &[u8; 12] {
    block[96..].first_chunk().unwrap_or(&[0; 12])
}

impl Block for Q3K {
    const DTYPE: DType = DType::Q3_K;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let d = f16_at(block, 108);
        let scales = unpack_scales(packed_scales(block));
        for (g, values) in values.chunks_exact_mut(16).enumerate() {
            let (half, shift, at) = (g / 8, g % 8 / 2 * 2, g % 2 * 16);
            let scale = d * f32::from(scales[g]);
            for (l, v) in values.iter_mut().enumerate() {
                let low = block[32 + 32 * half + at + l] >> shift & 3;
                let high = block[at + l] >> (g / 2) & 1;
                *v = scale * f32::from((low | high << 2) as i8 - 4);
            }
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let mut fitted = [0.0f32; 16];
        for (fit, group) in fitted.iter_mut().zip(values.chunks_exact(16)) {
            *fit = signed_scale(group, 4.0);
        }
        let largest = super::extreme(&fitted);
        let inverse = if largest == 0.0 { 0.0 } else { -32.0 / largest };
        let scales = fitted.map(|s| (inverse * s).round_ties_even().clamp(-32.0, 31.0) as i8);
        pack_scales(&scales, &mut block[96..108]);
        let d = put_f16(block, 108, reciprocal(inverse));
        block[..96].fill(0);
        for (g, group) in values.chunks_exact(16).enumerate() {
            let (half, shift, at) = (g / 8, g % 8 / 2 * 2, g % 2 * 16);
            let inverse = reciprocal(d * f32::from(scales[g]));
            for (l, x) in group.iter().enumerate() {
                let q = ((x * inverse).round_ties_even().clamp(-4.0, 3.0) as i8 + 4) as u8;
                block[32 + 32 * half + at + l] |= (q & 3) << shift;
                block[at + l] |= (q >> 2) << (g / 2);
            }
        }
    }
}
