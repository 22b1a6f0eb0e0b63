//! Plain Rust: the reference for the others, and the fallback.

use super::{Simd, f16_to_f32};
use std::array::from_fn;

/// As many lanes of plain arrays as the architecture's other instruction sets have.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

const N: usize = if cfg!(target_arch = "x86_64") { 8 } else { 4 };

// SAFETY of all pointer reads and writes: the trait asks callers for valid memory; none assumes alignment.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Scalar {
    const LANES: usize = N;
    const TILE_ROWS: usize = 4;
    type Tile = Self;
    type F32 = [f32; N];
    type I32 = [i32; N];

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; N] {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; N] {
        unsafe { p.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; N]) {
        unsafe { p.cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; N], b: [f32; N]) -> [f32; N] {
        from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; N], b: [f32; N]) -> [f32; N] {
        from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn mul_add(a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn sum(v: [f32; N]) -> f32 {
        v.iter().sum()
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u8) -> [f32; N] {
        unsafe { p.cast::<[u16; N]>().read_unaligned() }.map(f16_to_f32)
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u8) -> [f32; N] {
        unsafe { p.cast::<[u16; N]>().read_unaligned() }.map(|h| f32::from_bits(u32::from(h) << 16))
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> [f32; N] {
        unsafe { p.cast::<[i8; N]>().read_unaligned() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn zero_i32() -> [i32; N] {
        [0; N]
    }
    #[inline(always)]
    unsafe fn splat_i32(p: *const i32) -> [i32; N] {
        [unsafe { p.read_unaligned() }; N]
    }
    #[inline(always)]
    unsafe fn load_i32(p: *const i32) -> [i32; N] {
        unsafe { p.cast::<[i32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn add_i32(a: [i32; N], b: [i32; N]) -> [i32; N] {
        from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn store_i32(p: *mut i32, v: [i32; N]) {
        unsafe { p.cast::<[i32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: [i32; N], a: [i32; N], b: [i32; N]) -> [i32; N] {
        let pair = |a: i32, b: i32| i32::from(a as i16) * i32::from(b as i16) + (a >> 16) * (b >> 16);
        from_fn(|i| acc[i] + pair(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn to_f32(v: [i32; N]) -> [f32; N] {
        v.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn field(v: [i32; N], right: u32, mask: u8) -> [i32; N] {
        let mask = i32::from_ne_bytes([mask; 4]);
        v.map(|v| v >> right & mask)
    }
    #[inline(always)]
    unsafe fn or(a: [i32; N], b: [i32; N]) -> [i32; N] {
        from_fn(|i| a[i] | b[i])
    }
    #[inline(always)]
    unsafe fn widen(v: [i32; N], signed: bool) -> [[i32; N]; 2] {
        // sign bits of the low half's byte go to the low half only
        let wide = |b: i32| if signed { i32::from(b as i8) & 0xffff } else { b & 0xff };
        [v.map(|v| wide(v) | wide(v >> 16) << 16), v.map(|v| wide(v >> 8) | wide(v >> 24) << 16)]
    }

    dot_of_pairs!();
}
