//! WebAssembly SIMD: 128-bit registers, with the multiply-add and the dot product of bytes of relaxed SIMD where the module is
//! built for them. (Of that dot product's operands the unsigned one is at most 127, so that every processor gives the same.)

use super::{Kernel, Simd};
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

// SAFETY of all blocks: the module is built with simd128, and callers give valid memory; loads need no alignment.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Wasm {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 4;
    type Tile = Self;
    type F32 = v128;
    type I32 = v128;

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
    unsafe fn load_i8(p: *const i8) -> v128 {
        let wide = i16x8_extend_low_i8x16(unsafe { v128_load32_zero(p.cast()) });
        f32x4_convert_i32x4(i32x4_extend_low_i16x8(wide))
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
    unsafe fn add_i32(a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    unsafe fn store_i32(p: *mut i32, v: v128) {
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn field(v: v128, right: u32, mask: u8) -> v128 {
        let shifted = if right == 0 { v } else { u16x8_shr(v, right) };
        v128_and(shifted, u8x16_splat(mask))
    }
    #[inline(always)]
    unsafe fn or(a: v128, b: v128) -> v128 {
        v128_or(a, b)
    }
    #[inline(always)]
    unsafe fn widen(v: v128, signed: bool) -> [v128; 2] {
        if signed {
            [i16x8_shr(i16x8_shl(v, 8), 8), i16x8_shr(v, 8)]
        } else {
            [v128_and(v, u16x8_splat(0xff)), u16x8_shr(v, 8)]
        }
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    dot_of_pairs!();
    #[cfg(target_feature = "relaxed-simd")]
    dot_of_bytes!(
        |acc, unsigned, signed| i32x4_relaxed_dot_i8x16_i7x16_add(signed, unsigned, acc),
        i8x16_add,
        i8x16_splat,
        i32x4_sub,
        |v| i32x4_shl(v, 7)
    );
}
