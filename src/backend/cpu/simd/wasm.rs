//! WebAssembly SIMD: 128-bit registers, and a dot product of 16-bit lanes as the best integer one.
//!
//! Weights are bytes in two registers; activations are 16-bit lanes in four, of each 16 those of even index, then those of
//! odd index, as masks and shifts take unsigned weights apart (for signed weights in memory order).

use super::{IN_ORDER, Kernel, Simd};
use std::arch::wasm32::*;

/// simd128, with the multiply-add of relaxed SIMD when built for it.
#[derive(Clone, Copy)]
pub(super) struct Wasm;

/// A function of its own for each kernel: V8 allocates registers well up to a few thousand operations in a function, and
/// compiles a long-running caller's loops only when it is called again.
///
/// # Safety
/// The kernel's arguments are right.
#[inline(never)]
pub(super) unsafe fn run<K: Kernel>(kernel: K) {
    // SAFETY: the caller's promise; the module is built with simd128.
    unsafe { kernel.run::<Wasm>() }
}

/// Even then odd indexes of each 16.
const EVEN_ODD: [u8; 32] = {
    let mut order = [0; 32];
    let mut i = 0;
    while i < 32 {
        order[i] = (i / 16 * 16 + i % 8 * 2 + i / 8 % 2) as u8;
        i += 1;
    }
    order
};

/// Eight bytes of 16 where the index has a bit, 0 elsewhere. Reading them leaves the busy arithmetic ports alone.
static SPREAD: [u64; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 2048 {
        if (i / 8) >> (i % 8) & 1 == 1 {
            table[i / 8] |= 16 << (8 * (i % 8));
        }
        i += 1;
    }
    table
};

/// Dot products of 16 unsigned weights, spread over four lanes.
#[inline(always)]
fn dot16(w: v128, even: v128, odd: v128) -> v128 {
    let low = v128_and(w, u16x8_splat(0xff));
    i32x4_add(i32x4_dot_i16x8(low, even), i32x4_dot_i16x8(u16x8_shr(w, 8), odd))
}

/// Dot products of 16 signed weights, spread over four lanes. Widening by shuffles, since shifts and multiplications
/// share execution ports on x86.
#[inline(always)]
fn dot16_signed(w: v128, low: v128, high: v128) -> v128 {
    i32x4_add(i32x4_dot_i16x8(i16x8_extend_low_i8x16(w), low), i32x4_dot_i16x8(i16x8_extend_high_i8x16(w), high))
}

// SAFETY of all blocks: the module is built with simd128, and callers give valid memory; loads need no alignment.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Wasm {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 4;
    type Tile = Self;
    type F32 = v128;
    type I32 = v128;
    type Bytes = [v128; 2];
    type Weights = [v128; 2];
    type Acts = [v128; 4];

    #[inline(always)]
    unsafe fn splat(x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> v128 {
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: v128) {
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn add(a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    unsafe fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        #[cfg(target_feature = "relaxed-simd")]
        return f32x4_relaxed_madd(a, b, c);
        #[cfg(not(target_feature = "relaxed-simd"))]
        return f32x4_add(f32x4_mul(a, b), c);
    }
    #[inline(always)]
    unsafe fn sum(v: v128) -> f32 {
        (f32x4_extract_lane::<0>(v) + f32x4_extract_lane::<2>(v))
            + (f32x4_extract_lane::<1>(v) + f32x4_extract_lane::<3>(v))
    }
    #[inline(always)]
    unsafe fn sum_four([a, b, c, d]: [v128; 4], out: *mut f32) {
        // Lanes 0 and 2, 1 and 3 of two registers each, then of both pairs.
        let pairs = |a: v128, b: v128| f32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
        let (ab, cd) = (pairs(a, b), pairs(c, d));
        let sums = f32x4_add(i32x4_shuffle::<0, 1, 4, 5>(ab, cd), i32x4_shuffle::<2, 3, 6, 7>(ab, cd));
        unsafe { v128_store(out.cast(), sums) }
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u8) -> v128 {
        // extended with its sign, so that the shift leaves the sign at the top; see f16_to_f32
        let wide = i32x4_shl(i32x4_extend_low_i16x8(unsafe { v128_load64_zero(p.cast()) }), 13);
        let bits = v128_and(wide, u32x4_splat(0x8fff_e000));
        f32x4_mul(bits, f32x4_splat(f32::from_bits(0x7780_0000)))
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u8) -> v128 {
        u32x4_shl(u32x4_extend_low_u16x8(unsafe { v128_load64_zero(p.cast()) }), 16)
    }

    #[inline(always)]
    unsafe fn scale_8(p: *const i8, scale: f32, out: *mut f32) {
        let wide = unsafe { i16x8_load_extend_i8x8(p) };
        let scale = f32x4_splat(scale);
        for (i, half) in [i32x4_extend_low_i16x8(wide), i32x4_extend_high_i16x8(wide)].into_iter().enumerate() {
            unsafe { v128_store(out.add(4 * i).cast(), f32x4_mul(f32x4_convert_i32x4(half), scale)) };
        }
    }
    #[inline(always)]
    unsafe fn zero_i32() -> v128 {
        i32x4_splat(0)
    }
    #[inline(always)]
    unsafe fn splat_i32(p: *const i32) -> v128 {
        unsafe { v128_load32_splat(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_i32(p: *const i32) -> v128 {
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: v128, a: v128, b: v128) -> v128 {
        i32x4_add(acc, i32x4_dot_i16x8(a, b))
    }
    #[inline(always)]
    unsafe fn to_f32(v: v128) -> v128 {
        f32x4_convert_i32x4(v)
    }

    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> [v128; 2] {
        unsafe { [v128_load(p.cast()), v128_load(p.add(16).cast())] }
    }
    #[inline(always)]
    unsafe fn field(v: [v128; 2], right: i32, mask: u8) -> [v128; 2] {
        // bits that cross from one byte into the other are masked away
        let shift = |v: v128| if right >= 0 { u16x8_shr(v, right as u32) } else { u16x8_shl(v, -right as u32) };
        let mask = u8x16_splat(mask);
        [v128_and(shift(v[0]), mask), v128_and(shift(v[1]), mask)]
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> [v128; 2] {
        let v = unsafe { v128_load(p.cast()) };
        let mask = u8x16_splat(15);
        [v128_and(v, mask), v128_and(u16x8_shr(v, 4), mask)]
    }
    #[inline(always)]
    unsafe fn bits_to_16(word: u32) -> [v128; 2] {
        let b = word.to_le_bytes().map(usize::from);
        let pair =
            |low: usize, high: usize| unsafe { v128_load64_lane::<1>(v128_load64_zero(&SPREAD[low]), &SPREAD[high]) };
        [pair(b[0], b[1]), pair(b[2], b[3])]
    }
    #[inline(always)]
    unsafe fn signed(v: [v128; 2]) -> [v128; 2] {
        v
    }
    #[inline(always)]
    unsafe fn or(a: [v128; 2], b: [v128; 2]) -> [v128; 2] {
        [v128_or(a[0], b[0]), v128_or(a[1], b[1])]
    }

    #[inline(always)]
    fn order(signed: bool) -> &'static [u8; 32] {
        if signed { &IN_ORDER } else { &EVEN_ODD }
    }
    #[inline(always)]
    unsafe fn load_acts(p: *const i16) -> [v128; 4] {
        let p = p.cast::<v128>();
        unsafe { [v128_load(p), v128_load(p.add(1)), v128_load(p.add(2)), v128_load(p.add(3))] }
    }
    #[inline(always)]
    unsafe fn dot(w: [v128; 2], a: [v128; 4]) -> v128 {
        i32x4_add(dot16(w[0], a[0], a[1]), dot16(w[1], a[2], a[3]))
    }
    #[inline(always)]
    unsafe fn dot_signed(w: [v128; 2], a: [v128; 4]) -> v128 {
        i32x4_add(dot16_signed(w[0], a[0], a[1]), dot16_signed(w[1], a[2], a[3]))
    }
    #[inline(always)]
    unsafe fn dot_halves(w: [v128; 2], a: [v128; 4], scales: *const f32, acc: v128) -> v128 {
        let low = f32x4_convert_i32x4(dot16(w[0], a[0], a[1]));
        let high = f32x4_convert_i32x4(dot16(w[1], a[2], a[3]));
        unsafe {
            let (s0, s1) = (v128_load32_splat(scales.cast()), v128_load32_splat(scales.add(1).cast()));
            Self::mul_add(high, s1, Self::mul_add(low, s0, acc))
        }
    }
    #[inline(always)]
    unsafe fn store_i16(w: [v128; 2], signed: bool, offset: i16, factors: (i16, i16), p: *mut i16) {
        for (i, (w, factor)) in w.into_iter().zip([factors.0, factors.1]).enumerate() {
            let wide = if signed {
                [i16x8_extend_low_i8x16(w), i16x8_extend_high_i8x16(w)]
            } else {
                [v128_and(w, u16x8_splat(0xff)), u16x8_shr(w, 8)]
            };
            for (j, v) in wide.into_iter().enumerate() {
                let scaled = i16x8_mul(i16x8_sub(v, i16x8_splat(offset)), i16x8_splat(factor));
                unsafe { v128_store(p.add(16 * i + 8 * j).cast(), scaled) }
            }
        }
    }
}
