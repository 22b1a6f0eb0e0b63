//! How eight words of four values lie in as many words as a value has bits; see [`super::packed`].

use crate::backend::cpu::simd::Simd;

/// Values of eight words: the bits of one are in one to three places.
type Pieces = [Piece; 3];

/// Some bits of the values of a word: `stored[word] >> shift & mask`, in each byte.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub word: usize,
    pub shift: u32,
    /// Zero: nothing.
    pub mask: u8,
}

const fn piece(word: usize, shift: u32, mask: u8) -> Piece {
    Piece { word, shift, mask }
}
const NONE: Piece = piece(0, 0, 0);

/// Where the bits of word `j` of 8 are. As many values as can lie whole, shifted at most, since that is what takes them apart
/// fastest; what the words have left over holds the others.
pub(super) const fn pieces(bits: usize, j: usize) -> Pieces {
    match (bits, j) {
        (2, _) => [piece(j / 4, j as u32 % 4 * 2, 3), NONE, NONE],
        (3, 0..6) => [piece(j / 2, j as u32 % 2 * 3, 7), NONE, NONE],
        (3, 6) => [piece(0, 6, 3), piece(2, 4, 4), NONE],
        (3, _) => [piece(1, 6, 3), piece(2, 5, 4), NONE],
        (4, _) => [piece(j % 4, j as u32 / 4 * 4, 15), NONE, NONE],
        (5, 0..5) => [piece(j, 0, 31), NONE, NONE],
        (5, 5) => [piece(0, 5, 7), piece(1, 2, 24), NONE],
        (5, 6) => [piece(2, 5, 7), piece(3, 2, 24), NONE],
        (5, _) => [piece(4, 5, 7), piece(1, 4, 8), piece(3, 3, 16)],
        (6, 0..6) => [piece(j, 0, 63), NONE, NONE],
        (6, 6) => [piece(0, 6, 3), piece(1, 4, 12), piece(2, 2, 48)],
        (6, _) => [piece(3, 6, 3), piece(4, 4, 12), piece(5, 2, 48)],
        _ => [piece(j, 0, 255), NONE, NONE],
    }
}

/// Does each 16 values of that many bits have a scale of its own? (In ggml's formats that depends on the bits alone.)
pub(super) const fn has_halves(bits: usize) -> bool {
    matches!(bits, 2 | 3 | 6)
}

/// Are values of that many bits signed? Else 0..=63.
pub(super) const fn is_signed(bits: usize) -> bool {
    bits == 8
}

/// Word `J` of 8 of the group of 32 values of `BITS` bits at `p`.
///
/// # Safety
/// The instruction set's promise, and `p` points to a whole group of a panel.
#[inline(always)]
pub(super) unsafe fn word<S: Simd, const BITS: usize, const J: usize>(p: *const i32) -> S::I32 {
    let [first, second, third] = const { pieces(BITS, J) };
    // SAFETY: the caller's promise: a group has `BITS` words of as many lanes.
    unsafe {
        let get = |piece: Piece| {
            let stored = S::load_i32(p.add(piece.word * S::LANES));
            if piece.mask == 255 { stored } else { S::field(stored, piece.shift, piece.mask) }
        };
        let value = get(first);
        let value = if second.mask == 0 { value } else { S::or(value, get(second)) };
        if third.mask == 0 { value } else { S::or(value, get(third)) }
    }
}

/// `$task.$f::<BITS>()` for the bits of a value.
macro_rules! with_bits {
    ($bits:expr, $task:ident.$f:ident()) => {
        match $bits {
            2 => $task.$f::<2>(),
            3 => $task.$f::<3>(),
            4 => $task.$f::<4>(),
            5 => $task.$f::<5>(),
            6 => $task.$f::<6>(),
            _ => $task.$f::<8>(),
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
