//! Many tokens by packed weights: panels are unpacked to pairs of 16-bit integers, and multiplied by tiles of tokens.

use super::{
    activations::Activations,
    bits::{each_word, is_signed, word},
};
use crate::backend::cpu::simd::{Kernel, Lanes, Simd};

/// Words of a group.
pub(super) const PAIRS: usize = 16;

/// Widens `groups` groups of a packed panel into words of two i16: place `(group * 16 + pair) * width`.
///
/// The kernel's promise: `words` are so many groups of values of `BITS` bits, and `wide` has the places.
pub(super) struct Widen<const BITS: usize> {
    pub words: *const i32,
    pub groups: usize,
    pub wide: *mut i32,
    pub width: usize,
}

impl<const BITS: usize> Kernel for Widen<BITS> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { mut words, groups, mut wide, width } = self;
        // SAFETY: the kernel's promise.
        unsafe {
            for _ in 0..groups {
                each_word!(|J| {
                    let [even, odd] = S::widen(word::<S, BITS, J>(words), const { is_signed(BITS) });
                    S::store_i32(wide.add(2 * J * width), even);
                    S::store_i32(wide.add((2 * J + 1) * width), odd);
                });
                words = words.add(BITS * S::LANES);
                wide = wide.add(PAIRS * width);
            }
        }
    }
}

/// Adds the products of some rows and all tiles of tokens, `groups` groups from `start` on, to `acc`, `[tiles][tile][rows]`.
///
/// The kernel's promise: `wide` is `[groups][16][rows]`, `scales` and `shifts` (or null) `[groups, or twice as many][rows]`
/// where rows are two registers' lanes, and `acts` was made for this instruction set in tiles.
pub(super) struct TileProducts<'a, const HALVES: bool> {
    pub acts: &'a Activations,
    pub start: usize,
    pub groups: usize,
    pub wide: *const i32,
    pub scales: *const f32,
    pub shifts: *const f32,
    pub acc: *mut f32,
}

impl<const HALVES: bool> Kernel for TileProducts<'_, HALVES> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let tile = <S::Tile as Lanes>::TOKENS;
        for i in 0..self.acts.m.div_ceil(tile) {
            // SAFETY: the kernel's promise; the tile has so many tokens.
            unsafe {
                match tile {
                    4 => self.tile::<S::Tile, 4>(i),
                    _ => self.tile::<S::Tile, 8>(i),
                }
            }
        }
    }
}

impl<const HALVES: bool> TileProducts<'_, HALVES> {
    /// # Safety
    /// The kernel's promise; tiles are of `T` tokens.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const T: usize>(&self, i: usize) {
        let (parts, width) = (if HALVES { 2 } else { 1 }, 2 * L::LANES);
        let at = i * self.acts.groups + self.start;
        // SAFETY: the kernel's promise.
        unsafe {
            let acc = self.acc.add(i * T * width);
            let mut x = self.acts.q.as_ptr().add(at * PAIRS * T);
            let mut x_scales = self.acts.scales.as_ptr().add(at * T);
            let (mut w, mut scales) = (self.wide, self.scales);
            let mut sum = [[L::splat(0.0); 2]; T];
            for (t, sum) in sum.iter_mut().enumerate() {
                *sum = [L::load(acc.add(t * width)), L::load(acc.add(t * width + L::LANES))];
            }
            for _ in 0..self.groups {
                for _ in 0..parts {
                    let mut dot = [[L::zero_i32(); 2]; T];
                    for _ in 0..PAIRS / parts {
                        let weights = [L::load_i32(w), L::load_i32(w.add(L::LANES))];
                        for (t, dot) in dot.iter_mut().enumerate() {
                            let pair = L::splat_i32(x.add(t));
                            dot[0] = L::dot_pairs(dot[0], weights[0], pair);
                            dot[1] = L::dot_pairs(dot[1], weights[1], pair);
                        }
                        w = w.add(width);
                        x = x.add(T);
                    }
                    let scale = [L::load(scales), L::load(scales.add(L::LANES))];
                    for t in 0..T {
                        let x_scale = L::splat(*x_scales.add(t));
                        sum[t][0] = L::mul_add(L::to_f32(dot[t][0]), L::mul(scale[0], x_scale), sum[t][0]);
                        sum[t][1] = L::mul_add(L::to_f32(dot[t][1]), L::mul(scale[1], x_scale), sum[t][1]);
                    }
                    scales = scales.add(width);
                }
                x_scales = x_scales.add(T);
            }
            if !self.shifts.is_null() {
                let sums = if HALVES { &self.acts.halves } else { &self.acts.sums };
                let sums = sums.as_ptr().add(at * parts * T);
                for g in 0..self.groups * parts {
                    let shift = self.shifts.add(g * width);
                    let shift = [L::load(shift), L::load(shift.add(L::LANES))];
                    for (t, sum) in sum.iter_mut().enumerate() {
                        let x_sum = L::splat(*sums.add(g * T + t));
                        *sum = [L::mul_add(shift[0], x_sum, sum[0]), L::mul_add(shift[1], x_sum, sum[1])];
                    }
                }
            }
            for (t, sum) in sum.into_iter().enumerate() {
                L::store(acc.add(t * width), sum[0]);
                L::store(acc.add(t * width + L::LANES), sum[1]);
            }
        }
    }
}
