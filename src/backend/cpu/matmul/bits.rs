//! The six kinds of packed bits, as words of four values for each row of a panel; see [`super::packed`].

use crate::backend::cpu::simd::Simd;

/// How the words of a group of 32 values are read.
pub(super) trait Bits: 'static {
    /// Stored words of a group.
    const WORDS: usize;
    /// Are they signed bytes? Else 0..=63.
    const SIGNED: bool = false;
    /// Does each 16 values have a scale of its own?
    const HALVES: bool = false;
    /// Word `j` of 8 of the group at `p`.
    ///
    /// # Safety
    /// `p` points to a whole group of a panel.
    unsafe fn word<S: Simd>(p: *const i32, j: usize) -> S::I32;
}

/// 2, 4 or 8 low bits, and 0, 1 or 2 high ones.
pub(super) struct Kind<const LOW: usize, const HIGH: usize>;

impl<const LOW: usize, const HIGH: usize> Bits for Kind<LOW, HIGH> {
    const WORDS: usize = LOW + HIGH;
    const SIGNED: bool = LOW == 8;
    const HALVES: bool = LOW == 2 || HIGH == 2;
    #[inline(always)]
    unsafe fn word<S: Simd>(p: *const i32, j: usize) -> S::I32 {
        // SAFETY: the caller's promise: a group has that many words of as many lanes.
        unsafe {
            let load = |word: usize| p.add(word * S::LANES);
            let low = match LOW {
                8 => S::load_i32(load(j)),
                4 => S::field(S::load_i32(load(j % 4)), j as i32 / 4 * 4, 15),
                _ => S::field(S::load_i32(load(j / 4)), j as i32 % 4 * 2, 3),
            };
            let to = LOW as i32;
            match HIGH {
                0 => low,
                1 => S::or(low, S::field(S::load_i32(load(LOW)), j as i32 - to, 1 << LOW % 8)),
                _ => S::or(low, S::field(S::load_i32(load(LOW + j / 4)), j as i32 % 4 * 2 - to, 3 << LOW % 8)),
            }
        }
    }
}

/// Runs `$body` with `$B` the kind of bits of `$dtype`.
macro_rules! with_bits {
    ($dtype:expr, $B:ident => $body:expr) => {
        match $dtype {
            DType::Q4_0 | DType::Q4_1 | DType::Q4_K => {
                type $B = Kind<4, 0>;
                $body
            }
            DType::Q5_0 | DType::Q5_1 | DType::Q5_K => {
                type $B = Kind<4, 1>;
                $body
            }
            DType::Q6_K => {
                type $B = Kind<4, 2>;
                $body
            }
            DType::Q2_K => {
                type $B = Kind<2, 0>;
                $body
            }
            DType::Q3_K => {
                type $B = Kind<2, 1>;
                $body
            }
            _ => {
                type $B = Kind<8, 0>;
                $body
            }
        }
    };
}
pub(super) use with_bits;

/// Runs the body for each of eight words, with its number as a constant.
macro_rules! each_word {
    (|$j:ident| $body:expr) => {{
        each_word!(@ $j, $body, 0 1 2 3 4 5 6 7);
    }};
    (@ $j:ident, $body:expr, $($number:literal)*) => {$({
        const $j: usize = $number;
        $body;
    })*};
}
pub(super) use each_word;
