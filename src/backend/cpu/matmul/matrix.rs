//! Many tokens by quantized weights: a panel of weight rows is unpacked once to 16-bit integers, interleaved so that each
//! lane of a register belongs to one row, and multiplied by tiles of four tokens. No lane is ever summed across.
//!
//! One kernel serves all formats. Integer scales of groups of 16 are multiplied into the 16-bit weights (at most
//! 128 * 32), so that every format has one f32 scale for each 32 values.

use super::{
    Target,
    activations::{Activations, TILE},
    formats::{CHUNK, Format, Scales},
};
use crate::backend::cpu::simd::{Kernel, Simd};
use std::{marker::PhantomData, ops::Range};

/// Groups of 32 unpacked at a time: the panel stays in the first-level cache (8 KB for 8 rows).
const DEPTH: usize = 2 * CHUNK;

/// Rows of a panel: two registers' lanes.
pub(super) const fn panel_rows<S: Simd>() -> usize {
    2 * S::LANES
}

/// `out[t, row] = x[t] · w[row]` for some rows and all tokens; the promise is that of `VectorProduct`, with `acts` tiled.
pub(super) struct MatrixProduct<'a, F> {
    pub acts: &'a Activations,
    pub w: &'a [u8],
    pub rows: Range<usize>,
    pub out: Target,
    pub n: usize,
    pub format: PhantomData<F>,
}

/// Unpacked weights of a panel.
struct Panel {
    /// Words of two i16: `[groups][16][rows]`.
    words: Vec<i32>,
    /// `[groups][rows]`.
    scales: Vec<f32>,
    /// Negated, `[groups, or twice as many][rows]`; unused by formats without minimums.
    mins: Vec<f32>,
}

impl<F: Format> Kernel for MatrixProduct<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { acts, w, rows, out, n, .. } = self;
        let width = panel_rows::<S>();
        let halves = if F::HALVES { 2 } else { 1 };
        let row_bytes = acts.groups * 32 / F::DTYPE.block_len() * F::DTYPE.block_bytes();
        let chunk_bytes = CHUNK * 32 / F::DTYPE.block_len() * F::DTYPE.block_bytes();
        let tiles = acts.m.div_ceil(TILE);
        let mut panel = Panel {
            words: vec![0; DEPTH * 16 * width],
            scales: vec![0.0; DEPTH * width],
            mins: vec![0.0; DEPTH * width * halves],
        };
        let mut acc = vec![0.0f32; tiles * TILE * width];
        // SAFETY: the kernel's promise; panel and accumulators are as long as laid out.
        unsafe {
            for first in rows.clone().step_by(width) {
                acc.fill(0.0);
                for start in (0..acts.groups).step_by(DEPTH) {
                    let groups = DEPTH.min(acts.groups - start);
                    for r in 0..width {
                        let row = (first + r).min(rows.end - 1);
                        let p = w.as_ptr().add(row * row_bytes + start / CHUNK * chunk_bytes);
                        for chunk in (0..groups).step_by(CHUNK) {
                            let p = p.add(chunk / CHUNK * chunk_bytes);
                            unpack_chunk::<S, F>(p, chunk, CHUNK.min(groups - chunk), r, &mut panel);
                        }
                    }
                    for tile in 0..tiles {
                        let at = tile * acts.groups + start;
                        tile_product::<S, F>(
                            &panel,
                            groups,
                            acts.q.as_ptr().add(at * 32 * TILE).cast(),
                            acts.scales.as_ptr().add(at * TILE),
                            acts.sums.as_ptr().add(at * halves * TILE),
                            acc.as_mut_ptr().add(tile * TILE * width),
                        );
                    }
                }
                let columns = width.min(rows.end - first);
                for t in 0..acts.m {
                    for (r, value) in acc[t * width..][..columns].iter().enumerate() {
                        out.write(t * n + first + r, *value);
                    }
                }
            }
        }
    }
}

/// Unpacks one chunk of row `r` of the panel, whose groups start at `at`.
///
/// # Safety
/// `p` points to a chunk of `groups` groups; the panel has room.
#[inline(always)]
unsafe fn unpack_chunk<S: Simd, F: Format>(p: *const u8, at: usize, groups: usize, r: usize, panel: &mut Panel) {
    let width = panel_rows::<S>();
    // SAFETY: the caller's promise.
    unsafe {
        let mut own = Scales::NONE;
        F::scales::<S>(p, groups, &mut own);
        let (d, factors) = F::factors(p);
        for i in 0..groups {
            panel.scales[(at + i) * width + r] = if F::HALVES { d } else { own.scale[i] };
            if F::MINS && F::HALVES {
                panel.mins[2 * (at + i) * width + r] = -own.min[2 * i];
                panel.mins[(2 * (at + i) + 1) * width + r] = -own.min[2 * i + 1];
            } else if F::MINS {
                panel.mins[(at + i) * width + r] = -own.min[i];
            }
        }
        let words = panel.words[at * 16 * width..][..groups * 16 * width].as_mut_ptr().add(r);
        // SAFETY: the caller's promise; a macro, since a closure would not have the instruction set's features.
        macro_rules! one {
            ($i:expr) => {
                let factors = if F::HALVES { (factors[2 * $i].into(), factors[2 * $i + 1].into()) } else { (1, 1) };
                let mut wide = [0i32; 16];
                S::store_i16(F::unpack::<S>(p, $i), F::SIGNED, F::OFFSET, factors, wide.as_mut_ptr().cast());
                for (step, word) in wide.into_iter().enumerate() {
                    words.add(($i * 16 + step) * width).write(word);
                }
            };
        }
        if F::DTYPE.block_len() == 32 {
            for i in 0..groups {
                one!(i);
            }
        } else {
            // written out, so that shifts and offsets are constants
            one!(0);
            one!(1);
            one!(2);
            one!(3);
            one!(4);
            one!(5);
            one!(6);
            one!(7);
        }
    }
}

/// Adds the products of a panel of `groups` groups and a tile of tokens to `acc`, `[TILE][rows]`.
///
/// # Safety
/// Pointers are to as much as the layouts of [`Activations`] and [`Panel`] say.
#[inline(always)]
unsafe fn tile_product<S: Simd, F: Format>(
    panel: &Panel,
    groups: usize,
    mut x: *const i32,
    mut x_scales: *const f32,
    x_sums: *const f32,
    acc: *mut f32,
) {
    let width = panel_rows::<S>();
    let mut w = panel.words.as_ptr();
    let mut w_scales = panel.scales.as_ptr();
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = [[S::splat(0.0); 2]; TILE];
        for (t, sum) in sum.iter_mut().enumerate() {
            *sum = [S::load(acc.add(t * width)), S::load(acc.add(t * width + S::LANES))];
        }
        for _ in 0..groups {
            let mut dot = [[S::zero_i32(); 2]; TILE];
            for _ in 0..16 {
                let weights = [S::load_i32(w), S::load_i32(w.add(S::LANES))];
                for (t, dot) in dot.iter_mut().enumerate() {
                    let pair = S::splat_i32(x.add(t));
                    dot[0] = S::dot_pairs(dot[0], weights[0], pair);
                    dot[1] = S::dot_pairs(dot[1], weights[1], pair);
                }
                w = w.add(width);
                x = x.add(TILE);
            }
            let scales = [S::load(w_scales), S::load(w_scales.add(S::LANES))];
            for t in 0..TILE {
                let x_scale = S::splat(*x_scales.add(t));
                sum[t][0] = S::mul_add(S::to_f32(dot[t][0]), S::mul(scales[0], x_scale), sum[t][0]);
                sum[t][1] = S::mul_add(S::to_f32(dot[t][1]), S::mul(scales[1], x_scale), sum[t][1]);
            }
            w_scales = w_scales.add(width);
            x_scales = x_scales.add(TILE);
        }
        if F::MINS {
            for g in 0..groups * if F::HALVES { 2 } else { 1 } {
                let mins = panel.mins.as_ptr().add(g * width);
                let mins = [S::load(mins), S::load(mins.add(S::LANES))];
                for (t, sum) in sum.iter_mut().enumerate() {
                    let x_sum = S::splat(*x_sums.add(g * TILE + t));
                    *sum = [S::mul_add(mins[0], x_sum, sum[0]), S::mul_add(mins[1], x_sum, sum[1])];
                }
            }
        }
        for (t, sum) in sum.into_iter().enumerate() {
            S::store(acc.add(t * width), sum[0]);
            S::store(acc.add(t * width + S::LANES), sum[1]);
        }
    }
}
