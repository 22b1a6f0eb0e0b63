//! One token, or a few, by quantized weights: four weight rows at a time, unpacked in registers.

use super::{
    Target,
    activations::Activations,
    formats::{CHUNK, Format, Scales},
};
use crate::backend::cpu::simd::{Kernel, Simd};
use std::{marker::PhantomData, ops::Range};

/// Weight rows that share the loaded activations.
const ROWS: usize = 4;

/// `out[t, row] = x[t] · w[row]` for some rows and all tokens.
///
/// The kernel's promise: `w` holds whole rows of `acts.groups` groups of `F` up to the end of `rows`, `acts` was made for
/// `F` and this instruction set, and `out` has `acts.m` rows of `n` columns, of which nobody else writes `rows`.
pub(super) struct VectorProduct<'a, F> {
    pub acts: &'a Activations,
    pub w: &'a [u8],
    pub rows: Range<usize>,
    pub out: Target,
    pub n: usize,
    pub format: PhantomData<F>,
}

impl<F: Format> Kernel for VectorProduct<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { acts, w, rows, out, n, .. } = self;
        let halves = if F::HALVES { 2 } else { 1 };
        let row_bytes = acts.groups * 32 / F::DTYPE.block_len() * F::DTYPE.block_bytes();
        let chunk_bytes = CHUNK * 32 / F::DTYPE.block_len() * F::DTYPE.block_bytes();
        let padded = acts.groups.next_multiple_of(CHUNK);
        // SAFETY: the kernel's promise: rows are inside `w`, chunks inside rows, and activations as long as laid out.
        unsafe {
            for first in rows.clone().step_by(ROWS) {
                // past the end the last row is computed again, and not stored
                let row = |r: usize| (first + r).min(rows.end - 1);
                for t in 0..acts.m {
                    let mut p: [*const u8; ROWS] = std::array::from_fn(|r| w.as_ptr().add(row(r) * row_bytes));
                    let mut q = acts.q.as_ptr().add(t * acts.groups * 32);
                    let mut scales = acts.scales.as_ptr().add(t * padded);
                    let mut sums = acts.sums.as_ptr().add(t * padded * halves);
                    let mut acc = [S::splat(0.0); ROWS];
                    for _ in 0..acts.groups / CHUNK {
                        chunk::<S, F>(&p, CHUNK, q, scales, sums, &mut acc);
                        p = p.map(|p| p.add(chunk_bytes));
                        q = q.add(CHUNK * 32);
                        scales = scales.add(CHUNK);
                        sums = sums.add(CHUNK * halves);
                    }
                    if F::DTYPE.block_len() == 32 && !acts.groups.is_multiple_of(CHUNK) {
                        chunk::<S, F>(&p, acts.groups % CHUNK, q, scales, sums, &mut acc);
                    }
                    for (r, acc) in acc.into_iter().enumerate() {
                        if first + r < rows.end {
                            out.write(t * n + first + r, S::sum(acc));
                        }
                    }
                }
            }
        }
    }
}

/// Adds the products of one chunk of `groups` groups to the accumulators of four rows.
///
/// # Safety
/// `p` point to as many groups of weights, `q` to as many activations; `scales` to 8 scales, `sums` to 8 or 16 sums.
#[inline(always)]
unsafe fn chunk<S: Simd, F: Format>(
    p: &[*const u8; ROWS],
    groups: usize,
    q: *const i16,
    scales: *const f32,
    sums: *const f32,
    acc: &mut [S::F32; ROWS],
) {
    let count = if F::HALVES { 2 * CHUNK } else { CHUNK };
    let mut factors = [[0.0f32; 16]; ROWS];
    // SAFETY: the caller's promise.
    unsafe {
        let x_scales = scales.cast::<[f32; CHUNK]>().read_unaligned();
        for r in 0..ROWS {
            let mut own = Scales::NONE;
            F::scales::<S>(p[r], groups, &mut own);
            if F::MINS || F::OFFSET != 0 {
                // what the weights as unpacked are too large by
                let offset = S::splat(-f32::from(F::OFFSET));
                for i in (0..count).step_by(S::LANES) {
                    let mut too_large = S::mul(S::load(own.scale.as_ptr().add(i)), offset);
                    if F::MINS {
                        too_large = S::mul_add(S::load(own.min.as_ptr().add(i)), S::splat(-1.0), too_large);
                    }
                    acc[r] = S::mul_add(too_large, S::load(sums.add(i)), acc[r]);
                }
            }
            for i in 0..count {
                factors[r][i] = own.scale[i] * x_scales[if F::HALVES { i / 2 } else { i }];
            }
        }
        if F::DTYPE.block_len() == 32 {
            for i in 0..groups {
                group::<S, F>(p, i, q, &factors, acc);
            }
        } else {
            // written out, so that shifts and offsets are constants
            group::<S, F>(p, 0, q, &factors, acc);
            group::<S, F>(p, 1, q, &factors, acc);
            group::<S, F>(p, 2, q, &factors, acc);
            group::<S, F>(p, 3, q, &factors, acc);
            group::<S, F>(p, 4, q, &factors, acc);
            group::<S, F>(p, 5, q, &factors, acc);
            group::<S, F>(p, 6, q, &factors, acc);
            group::<S, F>(p, 7, q, &factors, acc);
        }
    }
}

/// One group of 32 by four rows.
///
/// # Safety
/// As for [`chunk`], with `i` below its groups.
#[inline(always)]
unsafe fn group<S: Simd, F: Format>(
    p: &[*const u8; ROWS],
    i: usize,
    q: *const i16,
    factors: &[[f32; 16]; ROWS],
    acc: &mut [S::F32; ROWS],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let acts = S::load_acts(q.add(i * 32));
        for r in 0..ROWS {
            let weights = F::unpack::<S>(p[r], i);
            acc[r] = if F::HALVES {
                S::dot_halves(weights, acts, factors[r].as_ptr().add(2 * i), acc[r])
            } else {
                let dot = if F::SIGNED { S::dot_signed(weights, acts) } else { S::dot(weights, acts) };
                S::mul_add(S::to_f32(dot), S::splat(factors[r][i]), acc[r])
            };
        }
    }
}
