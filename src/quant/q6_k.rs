//! Q6_K: 256 values of 6 bits; each group of 16 has a signed 8-bit scale.
//!
//! In each half of 128 values: value `l + 32j` has its low four bits in byte `l + 32 (j % 2)`, low nibbles for j < 2 and
//! high nibbles else, and its upper two bits in bits `2j..2j+2` of the half's byte `l`.

use super::{Block, f16_at, put_f16, reciprocal, search::signed_scale};
use crate::dtype::DType;

/// `low: [u8; 128], high: [u8; 64], scales: [i8; 16], d: f16`; value = d * scale * (q - 32).
pub(super) struct Q6K;

/// Byte and shift of the low bits, byte and shift of the high bits of group `g`.
fn place(g: usize) -> (usize, usize, usize, usize) {
    let (half, j, at) = (g / 8, g % 8 / 2, g % 2 * 16);
    (64 * half + 32 * (j % 2) + at, j / 2 * 4, 128 + 32 * half + at, 2 * j)
}

impl Block for Q6K {
    const DTYPE: DType = DType::Q6_K;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let d = f16_at(block, 208);
        for (g, values) in values.chunks_exact_mut(16).enumerate() {
            let (low, low_shift, high, high_shift) = place(g);
            let scale = d * f32::from(block[192 + g] as i8);
            for (l, v) in values.iter_mut().enumerate() {
                let q = (block[low + l] >> low_shift & 15) | (block[high + l] >> high_shift & 3) << 4;
                *v = scale * f32::from(q as i8 - 32);
            }
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let mut fitted = [0.0f32; 16];
        for (fit, group) in fitted.iter_mut().zip(values.chunks_exact(16)) {
            *fit = signed_scale(group, 32.0);
        }
        let largest = super::extreme(&fitted);
        let inverse = if largest == 0.0 { 0.0 } else { -128.0 / largest };
        let scales = fitted.map(|s| (inverse * s).round_ties_even().clamp(-128.0, 127.0) as i8);
        let d = put_f16(block, 208, reciprocal(inverse));
        block[..192].fill(0);
        for (g, group) in values.chunks_exact(16).enumerate() {
            let (low, low_shift, high, high_shift) = place(g);
            block[192 + g] = scales[g] as u8;
            let inverse = reciprocal(d * f32::from(scales[g]));
            for (l, x) in group.iter().enumerate() {
                let q = ((x * inverse).round_ties_even().clamp(-32.0, 31.0) as i8 + 32) as u8;
                block[low + l] |= (q & 15) << low_shift;
                block[high + l] |= (q >> 4) << high_shift;
            }
        }
    }
}
