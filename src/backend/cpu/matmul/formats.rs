//! The block formats as the kernels see them: `value = scale * (q - OFFSET) - min`, in groups of 32 or twice 16.
//!
//! Kernels walk a row in chunks of up to 256 values: one block of a `_K` format, or 8 blocks of 32.

use crate::{
    backend::cpu::simd::{Simd, f16_to_f32},
    dtype::DType,
    quant,
};

/// Groups of 32 values in a chunk.
pub(super) const CHUNK: usize = 8;

/// Scales and minimums of a chunk: one for each 32 values, or for each 16 where [`Format::HALVES`].
#[derive(Clone, Copy)]
pub(super) struct Scales {
    pub scale: [f32; 16],
    pub min: [f32; 16],
}

impl Scales {
    /// All zero.
    pub(super) const NONE: Scales = Scales { scale: [0.0; 16], min: [0.0; 16] };
}

/// How a block format is read.
///
/// # Safety
/// Pointers are to the first byte of a chunk of at least as many whole groups as asked for.
#[allow(clippy::missing_safety_doc, reason = "said once for all above")]
pub(super) trait Format: 'static {
    /// Whose blocks these are.
    const DTYPE: DType;
    /// Does each 16 values have a scale of its own?
    const HALVES: bool = false;
    /// Are unpacked weights signed bytes? Else they are 0..=63.
    const SIGNED: bool = false;
    /// Does it store minimums?
    const MINS: bool = false;
    /// What to subtract from unpacked weights.
    const OFFSET: i16 = 0;
    /// Scales and minimums of the first `groups` groups, into `out` (which is zero beyond them).
    unsafe fn scales<S: Simd>(p: *const u8, groups: usize, out: &mut Scales);
    /// The common scale and the integer scales of a block with [`Format::HALVES`].
    unsafe fn factors(_p: *const u8) -> (f32, [i8; 16]) {
        (0.0, [0; 16])
    }
    /// Weights of group `i`.
    unsafe fn unpack<S: Simd>(p: *const u8, i: usize) -> S::Weights;
}

/// The f16 at `p`.
#[inline(always)]
unsafe fn half_at(p: *const u8) -> f32 {
    // SAFETY: by the caller's promise; read unaligned.
    f16_to_f32(u16::from_le(unsafe { p.cast::<u16>().read_unaligned() }))
}

/// `sign` times the f16 at offset `at` of up to 8 blocks of `bytes` bytes; zeros for the rest of 8.
#[inline(always)]
unsafe fn halves_at<S: Simd>(p: *const u8, bytes: usize, at: usize, groups: usize, sign: f32, out: &mut [f32; 16]) {
    let mut bits = [0u16; CHUNK];
    // SAFETY: the caller promises `groups` whole blocks; read unaligned.
    unsafe {
        if groups == CHUNK {
            for (i, bits) in bits.iter_mut().enumerate() {
                *bits = p.add(i * bytes + at).cast::<u16>().read_unaligned();
            }
        } else {
            for (i, bits) in bits.iter_mut().enumerate().take(groups) {
                *bits = p.add(i * bytes + at).cast::<u16>().read_unaligned();
            }
        }
        for i in (0..CHUNK).step_by(S::LANES) {
            let values = S::load_f16(bits.as_ptr().add(i).cast());
            S::store(out.as_mut_ptr().add(i), S::mul(values, S::splat(sign)));
        }
    }
}

/// `out[i] = scale * bytes[i]`, 8 or 16 of them.
#[inline(always)]
unsafe fn scaled<S: Simd, const N: usize>(bytes: [i8; N], scale: f32, out: &mut [f32; 16]) {
    for i in (0..N).step_by(8) {
        // SAFETY: 8 bytes and 8 values from `i` on.
        unsafe { S::scale_8(bytes.as_ptr().add(i), scale, out.as_mut_ptr().add(i)) }
    }
}

macro_rules! block_of_32 {
    ($name:ident, $bytes:literal, { $($constant:ident: $type:ty = $value:expr),* }, $min_at:expr, |$p:ident, $s:ident| $unpack:expr) => {
        #[allow(non_camel_case_types)]
        pub(super) struct $name;
        // SAFETY of blocks: the trait's promise about pointers.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Format for $name {
            const DTYPE: DType = DType::$name;
            $(const $constant: $type = $value;)*
            #[inline(always)]
            unsafe fn scales<I: Simd>(p: *const u8, groups: usize, out: &mut Scales) {
                unsafe {
                    halves_at::<I>(p, $bytes, 0, groups, 1.0, &mut out.scale);
                    if let Some(at) = $min_at {
                        halves_at::<I>(p, $bytes, at, groups, -1.0, &mut out.min);
                    }
                }
            }
            #[inline(always)]
            unsafe fn unpack<$s: Simd>(p: *const u8, i: usize) -> $s::Weights {
                unsafe {
                    let $p = p.add(i * $bytes);
                    $unpack
                }
            }
        }
    };
}

block_of_32!(Q4_0, 18, { OFFSET: i16 = 8 }, None::<usize>, |p, S| S::nibbles(p.add(2)));
block_of_32!(Q4_1, 20, { MINS: bool = true }, Some(2), |p, S| S::nibbles(p.add(4)));
block_of_32!(Q5_0, 22, { OFFSET: i16 = 16 }, None::<usize>, |p, S| five_bits::<S>(p.add(2)));
block_of_32!(Q5_1, 24, { MINS: bool = true }, Some(2), |p, S| five_bits::<S>(p.add(4)));
block_of_32!(Q8_0, 34, { SIGNED: bool = true }, None::<usize>, |p, S| S::signed(S::load_bytes(p.add(2))));
block_of_32!(Q8_1, 36, { SIGNED: bool = true }, None::<usize>, |p, S| S::signed(S::load_bytes(p.add(4))));

/// Nibbles after a word of fifth bits.
#[inline(always)]
unsafe fn five_bits<S: Simd>(p: *const u8) -> S::Weights {
    // SAFETY: 20 bytes of a block, by the caller's promise.
    unsafe { S::or(S::nibbles(p.add(4)), S::bits_to_16(u32::from_le(p.cast::<u32>().read_unaligned()))) }
}

/// The low nibble of each byte.
const NIBBLES: u128 = u128::from_ne_bytes([15; 16]);

#[allow(non_camel_case_types)]
pub(super) struct Q2_K;
// SAFETY of blocks: the trait's promise about pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Format for Q2_K {
    const DTYPE: DType = DType::Q2_K;
    const HALVES: bool = true;
    const MINS: bool = true;
    #[inline(always)]
    unsafe fn scales<S: Simd>(p: *const u8, _groups: usize, out: &mut Scales) {
        unsafe {
            let packed = p.cast::<u128>().read_unaligned();
            let (low, high) = (packed & NIBBLES, packed >> 4 & NIBBLES);
            scaled::<S, 16>(low.to_ne_bytes().map(|b| b as i8), half_at(p.add(80)), &mut out.scale);
            scaled::<S, 16>(high.to_ne_bytes().map(|b| b as i8), half_at(p.add(82)), &mut out.min);
        }
    }
    #[inline(always)]
    unsafe fn factors(p: *const u8) -> (f32, [i8; 16]) {
        unsafe {
            let low = p.cast::<u128>().read_unaligned() & NIBBLES;
            (half_at(p.add(80)), low.to_ne_bytes().map(|b| b as i8))
        }
    }
    #[inline(always)]
    unsafe fn unpack<S: Simd>(p: *const u8, i: usize) -> S::Weights {
        unsafe { S::field(S::load_bytes(p.add(16 + 32 * (i / 4))), i as i32 % 4 * 2, 3) }
    }
}

#[allow(non_camel_case_types)]
pub(super) struct Q3_K;
// SAFETY of blocks: the trait's promise about pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Format for Q3_K {
    const DTYPE: DType = DType::Q3_K;
    const HALVES: bool = true;
    const OFFSET: i16 = 4;
    #[inline(always)]
    unsafe fn scales<S: Simd>(p: *const u8, _groups: usize, out: &mut Scales) {
        unsafe {
            let (d, factors) = Self::factors(p);
            scaled::<S, 16>(factors, d, &mut out.scale);
        }
    }
    #[inline(always)]
    unsafe fn factors(p: *const u8) -> (f32, [i8; 16]) {
        unsafe { (half_at(p.add(108)), quant::unpack_scales_q3_k(&p.add(96).cast::<[u8; 12]>().read_unaligned())) }
    }
    #[inline(always)]
    unsafe fn unpack<S: Simd>(p: *const u8, i: usize) -> S::Weights {
        unsafe {
            let low = S::field(S::load_bytes(p.add(32 + 32 * (i / 4))), i as i32 % 4 * 2, 3);
            S::or(low, S::field(S::load_bytes(p), i as i32 - 2, 4))
        }
    }
}

/// Scales of Q4_K and Q5_K.
#[inline(always)]
unsafe fn scales_with_mins<S: Simd>(p: *const u8, out: &mut Scales) {
    // SAFETY: 16 bytes of a block, by the caller's promise; read unaligned.
    let (d, dmin, packed) = unsafe { (half_at(p), half_at(p.add(2)), p.add(4).cast::<[u8; 12]>().read_unaligned()) };
    let (scales, mins) = quant::unpack_scales_mins(&packed);
    // SAFETY: called with the instruction set's features.
    unsafe {
        scaled::<S, 8>(scales.map(|b| b as i8), d, &mut out.scale);
        scaled::<S, 8>(mins.map(|b| b as i8), dmin, &mut out.min);
    }
}

#[allow(non_camel_case_types)]
pub(super) struct Q4_K;
// SAFETY of blocks: the trait's promise about pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Format for Q4_K {
    const DTYPE: DType = DType::Q4_K;
    const MINS: bool = true;
    #[inline(always)]
    unsafe fn scales<S: Simd>(p: *const u8, _groups: usize, out: &mut Scales) {
        unsafe { scales_with_mins::<S>(p, out) }
    }
    #[inline(always)]
    unsafe fn unpack<S: Simd>(p: *const u8, i: usize) -> S::Weights {
        unsafe { S::field(S::load_bytes(p.add(16 + 32 * (i / 2))), i as i32 % 2 * 4, 15) }
    }
}

#[allow(non_camel_case_types)]
pub(super) struct Q5_K;
// SAFETY of blocks: the trait's promise about pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Format for Q5_K {
    const DTYPE: DType = DType::Q5_K;
    const MINS: bool = true;
    #[inline(always)]
    unsafe fn scales<S: Simd>(p: *const u8, _groups: usize, out: &mut Scales) {
        unsafe { scales_with_mins::<S>(p, out) }
    }
    #[inline(always)]
    unsafe fn unpack<S: Simd>(p: *const u8, i: usize) -> S::Weights {
        unsafe {
            let low = S::field(S::load_bytes(p.add(48 + 32 * (i / 2))), i as i32 % 2 * 4, 15);
            S::or(low, S::field(S::load_bytes(p.add(16)), i as i32 - 4, 16))
        }
    }
}

#[allow(non_camel_case_types)]
pub(super) struct Q6_K;
// SAFETY of blocks: the trait's promise about pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Format for Q6_K {
    const DTYPE: DType = DType::Q6_K;
    const HALVES: bool = true;
    const OFFSET: i16 = 32;
    #[inline(always)]
    unsafe fn scales<S: Simd>(p: *const u8, _groups: usize, out: &mut Scales) {
        unsafe {
            let (d, factors) = Self::factors(p);
            scaled::<S, 16>(factors, d, &mut out.scale);
        }
    }
    #[inline(always)]
    unsafe fn factors(p: *const u8) -> (f32, [i8; 16]) {
        unsafe { (half_at(p.add(208)), p.add(192).cast::<[i8; 16]>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn unpack<S: Simd>(p: *const u8, i: usize) -> S::Weights {
        unsafe {
            let (half, j) = (i / 4, i % 4);
            let low = S::field(S::load_bytes(p.add(64 * half + 32 * (j % 2))), j as i32 / 2 * 4, 15);
            S::or(low, S::field(S::load_bytes(p.add(128 + 32 * half)), 2 * j as i32 - 4, 0x30))
        }
    }
}

#[allow(non_camel_case_types)]
pub(super) struct Q8_K;
// SAFETY of blocks: the trait's promise about pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Format for Q8_K {
    const DTYPE: DType = DType::Q8_K;
    const SIGNED: bool = true;
    #[inline(always)]
    unsafe fn scales<S: Simd>(p: *const u8, _groups: usize, out: &mut Scales) {
        out.scale = [f32::from_bits(u32::from_le(unsafe { p.cast::<u32>().read_unaligned() })); 16];
    }
    #[inline(always)]
    unsafe fn unpack<S: Simd>(p: *const u8, i: usize) -> S::Weights {
        unsafe { S::signed(S::load_bytes(p.add(4 + 32 * i))) }
    }
}
