//! GGUF block formats: how weights are stored in 2 to 8 bits, exactly as ggml lays them out.
//!
//! Every format is `value = scale * q - min` over groups of 16 or 32 values. The `Q*_0` and `Q*_1` formats have blocks
//! of 32 values with f16 scales; the `_K` formats have blocks of 256 values whose groups' scales are small integers
//! times one f16 scale. Q8_1 and Q8_K are what ggml quantizes activations to; they are complete here as well.
//!
//! The arithmetic of [`dequantize`] is the order of operations of ggml and of the `gguf` Python package, so results
//! are the same to the bit. The fast kernels that multiply by quantized weights are in `backend::cpu::matmul`.

mod q2_k;
mod q3_k;
mod q4;
mod q4_k;
mod q5;
mod q5_k;
mod q6_k;
mod q8;
mod q8_k;
mod search;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use q3_k::{pack_scales as pack_scales_q3_k, unpack_scales as unpack_scales_q3_k};
pub(crate) use q4_k::{pack_scales_mins, unpack_scales_mins};

use crate::{
    dtype::DType,
    error::{Error, Result},
};
use half::{bf16, f16};

/// One block format: both directions for a single block. Slices are exactly one block long.
trait Block {
    /// Whose blocks these are.
    const DTYPE: DType;
    /// `block` to values.
    fn dequantize(block: &[u8], values: &mut [f32]);
    /// Values to `block`.
    fn quantize(values: &[f32], block: &mut [u8]);
}

fn dequantize_blocks<B: Block>(bytes: &[u8], values: &mut [f32]) {
    let blocks = bytes.chunks_exact(B::DTYPE.block_bytes());
    for (block, values) in blocks.zip(values.chunks_exact_mut(B::DTYPE.block_len())) {
        B::dequantize(block, values);
    }
}

fn quantize_blocks<B: Block>(values: &[f32], bytes: &mut [u8]) {
    let blocks = bytes.chunks_exact_mut(B::DTYPE.block_bytes());
    for (block, values) in blocks.zip(values.chunks_exact(B::DTYPE.block_len())) {
        B::quantize(values, block);
    }
}

fn check(op: &'static str, dtype: DType, values: usize, bytes: usize) -> Result<()> {
    if !(dtype.is_quantized() || matches!(dtype, DType::F32 | DType::F16 | DType::BF16)) {
        return Err(Error::dtype(op, format!("{dtype} is neither a block format nor f32, f16 or bf16")));
    }
    match dtype.bytes_for(values) {
        Some(wanted) if wanted == bytes => Ok(()),
        Some(wanted) => Err(Error::shape(op, format!("{values} values of {dtype} are {wanted} bytes, not {bytes}"))),
        None => Err(Error::shape(
            op,
            format!("{values} values do not fill whole blocks of {} of {dtype}", dtype.block_len()),
        )),
    }
}

/// Values of `bytes`, which hold whole blocks of `dtype` (any of the 12 block formats; f32, f16 and bf16 are converted).
///
/// # Errors
/// When `bytes` and `out` are not the same number of whole blocks, or `dtype` is an integer or f64.
pub fn dequantize(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<()> {
    check("dequantize", dtype, out.len(), bytes.len())?;
    match dtype {
        DType::Q4_0 => dequantize_blocks::<q4::Q4_0>(bytes, out),
        DType::Q4_1 => dequantize_blocks::<q4::Q4_1>(bytes, out),
        DType::Q5_0 => dequantize_blocks::<q5::Q5_0>(bytes, out),
        DType::Q5_1 => dequantize_blocks::<q5::Q5_1>(bytes, out),
        DType::Q8_0 => dequantize_blocks::<q8::Q8_0>(bytes, out),
        DType::Q8_1 => dequantize_blocks::<q8::Q8_1>(bytes, out),
        DType::Q2_K => dequantize_blocks::<q2_k::Q2K>(bytes, out),
        DType::Q3_K => dequantize_blocks::<q3_k::Q3K>(bytes, out),
        DType::Q4_K => dequantize_blocks::<q4_k::Q4K>(bytes, out),
        DType::Q5_K => dequantize_blocks::<q5_k::Q5K>(bytes, out),
        DType::Q6_K => dequantize_blocks::<q6_k::Q6K>(bytes, out),
        DType::Q8_K => dequantize_blocks::<q8_k::Q8K>(bytes, out),
        DType::F16 => {
            for (b, v) in bytes.chunks_exact(2).zip(out) {
                *v = f16_at(b, 0);
            }
        }
        DType::BF16 => {
            for (b, v) in bytes.chunks_exact(2).zip(out) {
                *v = bf16::from_le_bytes([b[0], b[1]]).to_f32();
            }
        }
        _ => {
            for (b, v) in bytes.chunks_exact(4).zip(out) {
                *v = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
    }
    Ok(())
}

/// Stores `values` as whole blocks of `dtype` (any of the 12 block formats; to f16 and bf16 they are rounded).
///
/// Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 give the bytes that the `gguf` Python package gives. The `_K` formats choose scales
/// by ggml's method (a search for the scale and minimum of least weighted squared error). Values should be finite.
///
/// # Errors
/// When `values` and `out` are not the same number of whole blocks, or `dtype` is an integer or f64.
pub fn quantize(dtype: DType, values: &[f32], out: &mut [u8]) -> Result<()> {
    check("quantize", dtype, values.len(), out.len())?;
    match dtype {
        DType::Q4_0 => quantize_blocks::<q4::Q4_0>(values, out),
        DType::Q4_1 => quantize_blocks::<q4::Q4_1>(values, out),
        DType::Q5_0 => quantize_blocks::<q5::Q5_0>(values, out),
        DType::Q5_1 => quantize_blocks::<q5::Q5_1>(values, out),
        DType::Q8_0 => quantize_blocks::<q8::Q8_0>(values, out),
        DType::Q8_1 => quantize_blocks::<q8::Q8_1>(values, out),
        DType::Q2_K => quantize_blocks::<q2_k::Q2K>(values, out),
        DType::Q3_K => quantize_blocks::<q3_k::Q3K>(values, out),
        DType::Q4_K => quantize_blocks::<q4_k::Q4K>(values, out),
        DType::Q5_K => quantize_blocks::<q5_k::Q5K>(values, out),
        DType::Q6_K => quantize_blocks::<q6_k::Q6K>(values, out),
        DType::Q8_K => quantize_blocks::<q8_k::Q8K>(values, out),
        DType::F16 => {
            for (b, v) in out.chunks_exact_mut(2).zip(values) {
                b.copy_from_slice(&f16::from_f32(*v).to_le_bytes());
            }
        }
        DType::BF16 => {
            for (b, v) in out.chunks_exact_mut(2).zip(values) {
                b.copy_from_slice(&bf16::from_f32(*v).to_le_bytes());
            }
        }
        _ => {
            for (b, v) in out.chunks_exact_mut(4).zip(values) {
                b.copy_from_slice(&v.to_le_bytes());
            }
        }
    }
    Ok(())
}

/// The f16 at byte `at`, as f32.
#[inline(always)]
fn f16_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Stores `value` as f16 at byte `at`, and gives what was stored.
fn put_f16(bytes: &mut [u8], at: usize, value: f32) -> f32 {
    let stored = f16::from_f32(value);
    bytes[at..at + 2].copy_from_slice(&stored.to_le_bytes());
    stored.to_f32()
}

/// `1 / x`, and 0 for 0: the reciprocal of the scale of an all-zero group.
fn reciprocal(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

/// Smallest and largest value.
fn min_max(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)))
}

/// The value of largest magnitude, with its sign; the first of equals.
fn extreme(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |best: f32, &v| if v.abs() > best.abs() { v } else { best })
}
