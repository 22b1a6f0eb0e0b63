//! Q2_K: 256 values of 2 bits; each group of 16 has a 4-bit scale and a 4-bit minimum.
//!
//! Bits `2j..2j+2` of byte `32h + l` hold value `128h + 32j + l`.

use super::{
    Block, f16_at, put_f16, reciprocal,
    search::{round_to, scale_and_min},
};
use crate::dtype::DType;

/// `scales: [u8; 16] (scale in the low nibble, minimum in the high), bits: [u8; 64], d: f16, dmin: f16`;
/// value = d * scale * q - dmin * minimum.
pub(super) struct Q2K;

impl Block for Q2K {
    const DTYPE: DType = DType::Q2_K;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let (d, dmin) = (f16_at(block, 80), f16_at(block, 82));
        for (g, values) in values.chunks_exact_mut(16).enumerate() {
            let (half, shift, at) = (g / 8, g % 8 / 2 * 2, g % 2 * 16);
            let scale = d * (block[g] & 15) as f32;
            let min = dmin * (block[g] >> 4) as f32;
            let bits = &block[16 + 32 * half + at..][..16];
            for (v, b) in values.iter_mut().zip(bits) {
                *v = scale * (b >> shift & 3) as f32 - min;
            }
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let (mut scales, mut mins) = ([0.0f32; 16], [0.0f32; 16]);
        for (g, group) in values.chunks_exact(16).enumerate() {
            let mut weights = [0.0; 16];
            for (w, x) in weights.iter_mut().zip(group) {
                *w = x.abs();
            }
            (scales[g], mins[g]) = scale_and_min(group, &weights, 3, (-0.5, 0.1, 15), true);
        }
        let top_scale = scales.iter().fold(0.0f32, |m, &s| m.max(s));
        let top_min = mins.iter().fold(0.0f32, |m, &s| m.max(s));
        for g in 0..16 {
            let scale = round_to(15.0 * reciprocal(top_scale) * scales[g], 15);
            let min = round_to(15.0 * reciprocal(top_min) * mins[g], 15);
            block[g] = scale | min << 4;
        }
        let d = put_f16(block, 80, top_scale / 15.0);
        let dmin = put_f16(block, 82, top_min / 15.0);
        block[16..80].fill(0);
        for (g, group) in values.chunks_exact(16).enumerate() {
            let (half, shift, at) = (g / 8, g % 8 / 2 * 2, g % 2 * 16);
            let inverse = reciprocal(d * (block[g] & 15) as f32);
            let min = dmin * (block[g] >> 4) as f32;
            for (b, x) in block[16 + 32 * half + at..][..16].iter_mut().zip(group) {
                *b |= round_to((x + min) * inverse, 3) << shift;
            }
        }
    }
}
