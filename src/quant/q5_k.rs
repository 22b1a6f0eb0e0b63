//! Q5_K: Q4_K with a fifth bit: bit `j` of byte `l` is that of value `32j + l`.

use super::{
    Block,
    q4_k::{group_scales, pack_nibbles, quantize_groups},
};
use crate::dtype::DType;

/// `d: f16, dmin: f16, scales: [u8; 12], high: [u8; 32], nibbles: [u8; 128]`; value = d * scale * q - dmin * minimum.
pub(super) struct Q5K;

impl Block for Q5K {
    const DTYPE: DType = DType::Q5_K;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let (scales, mins) = group_scales(block);
        for (g, values) in values.chunks_exact_mut(32).enumerate() {
            let bytes = block[48 + g / 2 * 32..][..32].iter().zip(&block[16..48]);
            for (v, (b, high)) in values.iter_mut().zip(bytes) {
                let q = (b >> (g % 2 * 4) & 15) | (high >> g & 1) << 4;
                *v = scales[g] * q as f32 - mins[g];
            }
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let q = quantize_groups(values, 31, (-0.5, 0.1, 15), block);
        block[16..48].fill(0);
        for (i, q) in q.iter().enumerate() {
            block[16 + i % 32] |= (q >> 4) << (i / 32);
        }
        pack_nibbles(&q, &mut block[48..]);
    }
}
