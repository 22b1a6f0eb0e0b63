//! The 512-bit registers of AVX-512, for tiles of f32 matrix products.

use super::Lanes;
use std::arch::x86_64::*;

/// 16 numbers in a register, 32 registers.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

// SAFETY of every block: callers have AVX-512 F and give valid memory; all accesses are unaligned.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx512 {
    const LANES: usize = 16;
    const ROWS: usize = 12;
    type F32 = __m512;
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
}
