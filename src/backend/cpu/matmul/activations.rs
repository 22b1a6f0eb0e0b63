//! Activations in 14 bits: each 32 values of a row become integers of `-ACT_MAX..=ACT_MAX` times one f32 scale. 8 bits, which
//! ggml uses, move a small model's logits by up to 0.7; 14 cost two dot products of bytes, or as much as 16.

use super::base::check_isa;
use crate::{
    backend::cpu::simd::{ACT_MAX, Isa, Kernel, Lanes, Simd},
    error::{Error, Result},
};

/// Rows of activations, quantized once for products with any number of packed weights of any format.
pub struct Activations {
    /// The instruction set for which they are laid out.
    pub(super) isa: Isa,
    /// Rows.
    pub(super) m: usize,
    /// Groups of 32 in a row.
    pub(super) groups: usize,
    /// Rows that lie side by side: 1 for the vector kernel, a tile for the matrix kernel.
    pub(super) tile: usize,
    /// Weight rows that the matrix kernel takes at a time.
    pub(super) width: usize,
    /// Words of two or four integers, `[tiles][groups][16][tile]`.
    pub(super) q: Vec<i32>,
    /// `[tiles][groups][tile]`.
    pub(super) scales: Vec<f32>,
    /// Scaled sums of the integers of each 32 values; the same order as scales.
    pub(super) sums: Vec<f32>,
    /// Those of each 16, `[tiles][groups][2][tile]`.
    pub(super) halves: Vec<f32>,
}

/// From this many rows on, unpacking a panel of weights pays.
const MANY_ROWS: usize = 6;

impl Activations {
    /// Quantizes rows of `k` values, with the instructions of `isa`.
    ///
    /// # Errors
    /// When this machine does not have them, `k` is no multiple of 32, or `x` not whole rows.
    pub fn new(isa: Isa, x: &[f32], k: usize) -> Result<Self> {
        check_isa("linear", isa)?;
        if !k.is_multiple_of(32) || !x.len().is_multiple_of(k.max(1)) {
            let message = format!("{} values are not rows of {k}, a multiple of 32", x.len());
            return Err(Error::shape("linear", message));
        }
        let (m, groups) = (x.len().checked_div(k).unwrap_or(0), k / 32);
        let mut acts = Self {
            isa,
            m,
            groups,
            tile: 1,
            width: 1,
            q: Vec::new(),
            scales: Vec::new(),
            sums: Vec::new(),
            halves: Vec::new(),
        };
        if k > 0 {
            // SAFETY: this machine has the instruction set.
            unsafe { isa.run(Quantize { x, out: &mut acts }) };
        }
        Ok(acts)
    }
}

/// Fills [`Activations`], of which sizes are set.
struct Quantize<'a> {
    x: &'a [f32],
    out: &'a mut Activations,
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

impl Kernel for Quantize<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, out } = self;
        let Activations { m, groups, .. } = *out;
        let tile = if m >= MANY_ROWS { <S::Tile as Lanes>::TOKENS } else { 1 };
        let bytes = S::BYTES && tile == 1;
        let places = m.next_multiple_of(tile) * groups;
        out.tile = tile;
        out.width = 2 * <S::Tile as Lanes>::LANES;
        out.q = vec![0; places * 16];
        out.scales = vec![0.0; places];
        out.sums = vec![0.0; places];
        out.halves = vec![0.0; places * 2];
        for (t, row) in x.chunks_exact(groups * 32).enumerate() {
            let lane = t % tile;
            for (g, values) in row.as_chunks::<32>().0.iter().enumerate() {
                let group = t / tile * groups + g;
                let (q, scale, sums) = quantize_32(values);
                let words = &mut out.q[group * 16 * tile..][..16 * tile];
                for (j, q) in q.as_chunks::<4>().0.iter().enumerate() {
                    let pair = |a: i16, b: i16| i32::from(a) & 0xffff | i32::from(b) << 16;
                    let [first, second] = if bytes {
                        [q.map(|q| (q >> 7) as u8), q.map(|q| q as u8 & 127)].map(i32::from_le_bytes)
                    } else {
                        [pair(q[0], q[2]), pair(q[1], q[3])]
                    };
                    words[2 * j * tile + lane] = first;
                    words[(2 * j + 1) * tile + lane] = second;
                }
                out.scales[group * tile + lane] = scale;
                out.sums[group * tile + lane] = scale * (sums[0] + sums[1]) as f32;
                out.halves[2 * group * tile + lane] = scale * sums[0] as f32;
                out.halves[(2 * group + 1) * tile + lane] = scale * sums[1] as f32;
            }
        }
    }
}
