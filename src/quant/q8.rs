//! Q8_0 and Q8_1: 32 values of 8 bits with an f16 scale; Q8_1 also keeps the scaled sum of its values.

use super::{Block, f16_at, put_f16, reciprocal};
use crate::dtype::DType;

/// `d: f16, q: [i8; 32]`; value = d * q.
pub(super) struct Q8_0;
/// `d: f16, s: f16, q: [i8; 32]`; value = d * q, and s = d * the sum of q.
pub(super) struct Q8_1;

/// Writes the 32 rounded numbers and gives their scale, unrounded, and their sum.
fn quantize_32(values: &[f32], out: &mut [u8]) -> (f32, i32) {
    let d = values.iter().fold(0.0, |m: f32, v| m.max(v.abs())) / 127.0;
    let inverse = reciprocal(d);
    let mut sum = 0;
    for (q, v) in out.iter_mut().zip(values) {
        let rounded = (v * inverse).round() as i8;
        *q = rounded as u8;
        sum += i32::from(rounded);
    }
    (d, sum)
}

impl Block for Q8_0 {
    const DTYPE: DType = DType::Q8_0;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let d = f16_at(block, 0);
        for (v, &q) in values.iter_mut().zip(&block[2..34]) {
            *v = d * (q as i8) as f32;
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let (d, _) = quantize_32(values, &mut block[2..]);
        put_f16(block, 0, d);
    }
}

impl Block for Q8_1 {
    const DTYPE: DType = DType::Q8_1;
    fn dequantize(block: &[u8], values: &mut [f32]) {
        let d = f16_at(block, 0);
        for (v, &q) in values.iter_mut().zip(&block[4..36]) {
            *v = d * (q as i8) as f32;
        }
    }
    fn quantize(values: &[f32], block: &mut [u8]) {
        let (d, sum) = quantize_32(values, &mut block[4..]);
        put_f16(block, 0, d);
        put_f16(block, 2, sum as f32 * d);
    }
}
