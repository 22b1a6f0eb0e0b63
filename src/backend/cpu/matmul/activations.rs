//! Activations in 15 bits: each 32 values of a row become integers of `-ACT_MAX..=ACT_MAX` times one f32 scale. On WebAssembly 16-bit
//! lanes are the only ones with a dot product, and 8 bits, which ggml uses, move a small model's logits by up to 0.7.

use super::formats::{CHUNK, Format};
use crate::backend::cpu::simd::{ACT_MAX, Kernel, Simd};
use std::marker::PhantomData;

/// Tokens that the matrix kernel takes at a time.
pub(super) const TILE: usize = 4;

/// The quantized rows of `x`, as the kernels for one format and instruction set read them.
#[derive(Default)]
pub(super) struct Activations {
    /// Rows.
    pub m: usize,
    /// Groups of 32 in a row.
    pub groups: usize,
    /// Integers: for the vector kernel `[m][groups][32]`, the 32 in the instruction set's order; for the matrix kernel
    /// `[tiles][groups][16][TILE][2]`.
    pub q: Vec<i16>,
    /// Scales: `[m][groups to whole chunks]`, or `[tiles][groups][TILE]`.
    pub scales: Vec<f32>,
    /// Scaled sums of the integers of each 32 values, or each 16 where the format has halves; the same order as scales.
    pub sums: Vec<f32>,
}

/// Fills [`Activations`] from rows of `x` for format `F`.
pub(super) struct Quantize<'a, F> {
    /// `[m, k]`.
    pub x: &'a [f32],
    /// Values in a row: a multiple of 32.
    pub k: usize,
    /// For the matrix kernel?
    pub tiled: bool,
    /// What to fill.
    pub out: &'a mut Activations,
    pub format: PhantomData<F>,
}

/// 32 rounded values, their scale, and the sums of both halves.
#[inline(always)]
fn quantize_32(x: &[f32; 32]) -> ([i16; 32], f32, [i32; 2]) {
    // as integers, magnitudes compare alike, and NaN is the largest
    let largest = x.iter().fold(0, |m: u32, v| m.max(v.to_bits() & 0x7fff_ffff));
    let scale = f32::from_bits(largest) / f32::from(ACT_MAX);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    // adding 1.5 * 2^23 leaves the nearest integer in the low bits
    const MAGIC: f32 = 12_582_912.0;
    let q: [i16; 32] = std::array::from_fn(|i| (x[i] * inverse + MAGIC).to_bits() as i16);
    let sum = |half: &[i16]| half.iter().map(|&q| i32::from(q)).sum();
    // values so small that the reciprocal overflows count as zero
    if !inverse.is_finite() && scale.is_finite() {
        return ([0; 32], 0.0, [0; 2]);
    }
    (q, scale, [sum(&q[..16]), sum(&q[16..])])
}

impl<F: Format> Kernel for Quantize<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, k, tiled, out, .. } = self;
        let (m, groups) = (x.len() / k, k / 32);
        let halves = if F::HALVES { 2 } else { 1 };
        let order = S::order(F::SIGNED);
        out.m = m;
        out.groups = groups;
        let (slots, count) = if tiled {
            (m.next_multiple_of(TILE) * groups, m.next_multiple_of(TILE) * groups * 32)
        } else {
            (m * groups.next_multiple_of(CHUNK), m * groups * 32)
        };
        out.q = vec![0; count];
        out.scales = vec![0.0; slots];
        out.sums = vec![0.0; slots * halves];
        for (t, row) in x.chunks_exact(k).enumerate() {
            for (g, values) in row.as_chunks::<32>().0.iter().enumerate() {
                let (q, scale, sums) = quantize_32(values);
                let sums = if F::HALVES { sums } else { [sums[0] + sums[1], 0] };
                let q: [i16; 32] = std::array::from_fn(|i| q[order[i] as usize]);
                // positions of this group's scale and sum, and the distance between the sums of its halves
                let (at, sum_at, next) = if tiled {
                    let (tile, lane) = (t / TILE, t % TILE);
                    let group = tile * groups + g;
                    let words = out.q[group * 32 * TILE..][..32 * TILE].as_chunks_mut::<2>().0;
                    for (step, pair) in q.as_chunks::<2>().0.iter().enumerate() {
                        words[step * TILE + lane] = *pair;
                    }
                    (group * TILE + lane, group * halves * TILE + lane, TILE)
                } else {
                    out.q[(t * groups + g) * 32..][..32].copy_from_slice(&q);
                    let at = t * groups.next_multiple_of(CHUNK) + g;
                    (at, at * halves, 1)
                };
                out.scales[at] = scale;
                for (half, sum) in sums.into_iter().enumerate().take(halves) {
                    out.sums[sum_at + half * next] = scale * sum as f32;
                }
            }
        }
    }
}
