//! WebAssembly SIMD: 128-bit registers, and a dot product of 16-bit lanes as the best integer one.
//!
//! Weights and activations are 16-bit lanes in four registers. Packed weights are split within 16-bit lanes, so each 16
//! weights come as those of even index, then those of odd index; signed bytes are widened in memory order.

use super::{IN_ORDER, Simd};
use std::arch::wasm32::*;

/// simd128, with the multiply-add of relaxed SIMD when built for it.
#[derive(Clone, Copy)]
pub(super) struct Wasm;

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

/// Sum of four registers' dot products.
#[inline(always)]
fn dot4(w: [v128; 4], a: [v128; 4]) -> v128 {
    let low = i32x4_add(i32x4_dot_i16x8(w[0], a[0]), i32x4_dot_i16x8(w[1], a[1]));
    let high = i32x4_add(i32x4_dot_i16x8(w[2], a[2]), i32x4_dot_i16x8(w[3], a[3]));
    i32x4_add(low, high)
}

// SAFETY of all blocks: the module is built with simd128, and callers give valid memory; loads need no alignment.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Wasm {
    const LANES: usize = 4;
    type F32 = v128;
    type I32 = v128;
    type Bytes = [v128; 2];
    type Weights = [v128; 4];
    type Acts = [v128; 4];
    const ACT_BYTES: usize = 64;

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
    unsafe fn load_f16(p: *const u8) -> v128 {
        let h = unsafe { v128_load64_zero(p.cast()) };
        let wide = u32x4_extend_low_u16x8(h);
        let magnitude = u32x4_shl(v128_and(wide, u32x4_splat(0x7fff)), 13);
        // see f16_to_f32
        let value = f32x4_mul(magnitude, f32x4_splat(f32::from_bits(0x7780_0000)));
        let special = u32x4_ge(magnitude, u32x4_splat(0x7c00 << 13));
        let special = v128_and(special, u32x4_splat(0x7f80_0000));
        let sign = u32x4_shl(v128_and(wide, u32x4_splat(0x8000)), 16);
        v128_or(v128_or(value, special), sign)
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u8) -> v128 {
        u32x4_shl(u32x4_extend_low_u16x8(unsafe { v128_load64_zero(p.cast()) }), 16)
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
    unsafe fn field(v: [v128; 2], right: i32, mask: u8) -> [v128; 4] {
        let wide_mask = u16x8_splat(mask.into());
        let even = |v: v128| {
            let shifted = if right >= 0 { u16x8_shr(v, right as u32) } else { u16x8_shl(v, -right as u32) };
            v128_and(shifted, wide_mask)
        };
        // the topmost bits need no mask
        let top = right >= 0 && 0xff >> right == mask;
        let odd = |v: v128| {
            let shifted = u16x8_shr(v, (8 + right) as u32);
            if top { shifted } else { v128_and(shifted, wide_mask) }
        };
        [even(v[0]), odd(v[0]), even(v[1]), odd(v[1])]
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> [v128; 4] {
        let v = unsafe { v128_load(p.cast()) };
        let mask = u16x8_splat(15);
        [v128_and(v, mask), v128_and(u16x8_shr(v, 8), mask), v128_and(u16x8_shr(v, 4), mask), u16x8_shr(v, 12)]
    }
    #[inline(always)]
    unsafe fn bits_to_16(word: u32) -> [v128; 4] {
        // a multiplication moves bits 2i and 2i + 1 of each half word to the top of lane i
        let place = u16x8(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1);
        let mask = u16x8_splat(16);
        let (low, high) =
            (u16x8_mul(u16x8_splat(word as u16), place), u16x8_mul(u16x8_splat((word >> 16) as u16), place));
        [
            v128_and(u16x8_shr(low, 10), mask),
            v128_and(u16x8_shr(low, 11), mask),
            v128_and(u16x8_shr(high, 10), mask),
            v128_and(u16x8_shr(high, 11), mask),
        ]
    }
    #[inline(always)]
    unsafe fn signed(v: [v128; 2]) -> [v128; 4] {
        [
            i16x8_extend_low_i8x16(v[0]),
            i16x8_extend_high_i8x16(v[0]),
            i16x8_extend_low_i8x16(v[1]),
            i16x8_extend_high_i8x16(v[1]),
        ]
    }
    #[inline(always)]
    unsafe fn or(a: [v128; 4], b: [v128; 4]) -> [v128; 4] {
        [v128_or(a[0], b[0]), v128_or(a[1], b[1]), v128_or(a[2], b[2]), v128_or(a[3], b[3])]
    }

    #[inline(always)]
    fn order(signed: bool) -> &'static [u8; 32] {
        if signed { &IN_ORDER } else { &EVEN_ODD }
    }
    #[inline(always)]
    unsafe fn store_acts(q: &[i8; 32], p: *mut u8) {
        let wide = q.map(i16::from);
        unsafe { p.cast::<[i16; 32]>().write_unaligned(wide) }
    }
    #[inline(always)]
    unsafe fn load_acts(p: *const u8) -> [v128; 4] {
        let p = p.cast::<v128>();
        unsafe { [v128_load(p), v128_load(p.add(1)), v128_load(p.add(2)), v128_load(p.add(3))] }
    }
    #[inline(always)]
    unsafe fn dot(w: [v128; 4], a: [v128; 4]) -> v128 {
        dot4(w, a)
    }
    #[inline(always)]
    unsafe fn dot_signed(w: [v128; 4], a: [v128; 4]) -> v128 {
        dot4(w, a)
    }
    #[inline(always)]
    unsafe fn dot_halves(w: [v128; 4], a: [v128; 4], scales: *const f32, acc: v128) -> v128 {
        let low = i32x4_add(i32x4_dot_i16x8(w[0], a[0]), i32x4_dot_i16x8(w[1], a[1]));
        let high = i32x4_add(i32x4_dot_i16x8(w[2], a[2]), i32x4_dot_i16x8(w[3], a[3]));
        unsafe {
            let (s0, s1) = (v128_load32_splat(scales.cast()), v128_load32_splat(scales.add(1).cast()));
            Self::mul_add(f32x4_convert_i32x4(high), s1, Self::mul_add(f32x4_convert_i32x4(low), s0, acc))
        }
    }
    #[inline(always)]
    unsafe fn store_i16(w: [v128; 4], offset: i16, factors: (i16, i16), p: *mut i16) {
        for (i, v) in w.into_iter().enumerate() {
            let factor = i16x8_splat(if i < 2 { factors.0 } else { factors.1 });
            let scaled = i16x8_mul(i16x8_sub(v, i16x8_splat(offset)), factor);
            unsafe { v128_store(p.add(8 * i).cast(), scaled) }
        }
    }
}
