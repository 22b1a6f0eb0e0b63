//! One token, or a few, by packed weights, which are unpacked in registers.

use super::{
    Target,
    activations::Activations,
    bits::{each_word, has_halves, is_signed, word},
};
use crate::backend::cpu::simd::{Kernel, Simd};

/// Words of a cache line.
const LINE: usize = 16;
/// How far ahead weights are asked for: processors that foresee addresses do so up to the end of a page only.
const AHEAD: usize = 512;

/// `out[t, row + r] = x[t] · w[r]` for the rows of a panel and all tokens.
///
/// The kernel's promise: `words` are the words of a panel of `acts.groups` groups of values of `BITS` bits, `scales` and
/// `shifts` (unread if the words are signed) its scales, `acts` was made for this instruction set with tiles of one, and `out`
/// has `acts.m` rows, `stride` apart, of which nobody else writes the columns `rows` from `row` on.
pub(super) struct VectorProduct<'a, const BITS: usize> {
    pub acts: &'a Activations,
    pub words: *const i32,
    pub scales: *const f32,
    pub shifts: *const f32,
    pub out: Target,
    pub stride: usize,
    pub row: usize,
    pub rows: usize,
}

impl<const BITS: usize> Kernel for VectorProduct<'_, BITS> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { acts, words, scales, shifts, out, stride, row, rows } = self;
        let parts = if const { has_halves(BITS) } { 2 } else { 1 };
        // SAFETY: the kernel's promise.
        unsafe {
            for t in 0..acts.m {
                let at = t * acts.groups;
                let mut x = acts.q.as_ptr().add(at * 16);
                let sums = if const { has_halves(BITS) } { &acts.halves } else { &acts.sums };
                let mut sum = sums.as_ptr().add(at * parts);
                let (mut w, mut scale, mut shift) = (words, scales, shifts);
                let mut acc = [S::splat(0.0); 2];
                for g in 0..acts.groups {
                    for line in (0..BITS * S::LANES).step_by(LINE) {
                        S::prefetch(w.wrapping_add(AHEAD + line));
                    }
                    let x_scale = S::splat(*acts.scales.as_ptr().add(at + g));
                    // two sums, so that additions wait for each other half as long
                    let mut dots = [S::dot_zero(); 2];
                    each_word!(|J| dots[J / 4] =
                        S::dot(dots[J / 4], word::<S, BITS, J>(w), const { is_signed(BITS) }, x.add(2 * J)));
                    if !const { has_halves(BITS) } {
                        dots[0] = S::dot_join(dots[0], dots[1]);
                    }
                    for dot in &dots[..parts] {
                        let factor = S::mul(S::load(scale), x_scale);
                        acc[0] = S::mul_add(S::to_f32(S::dot_end(*dot, const { is_signed(BITS) })), factor, acc[0]);
                        scale = scale.add(S::LANES);
                        if !const { is_signed(BITS) } {
                            acc[1] = S::mul_add(S::load(shift), S::splat(*sum), acc[1]);
                            shift = shift.add(S::LANES);
                            sum = sum.add(1);
                        }
                    }
                    w = w.add(BITS * S::LANES);
                    x = x.add(16);
                }
                let acc = S::add(acc[0], acc[1]);
                if rows == S::LANES {
                    S::store(out.at(t * stride + row), acc);
                } else {
                    let mut values = [0.0; 16];
                    S::store(values.as_mut_ptr(), acc);
                    for (r, value) in values.into_iter().enumerate().take(rows) {
                        out.write(t * stride + row + r, value);
                    }
                }
            }
        }
    }
}
