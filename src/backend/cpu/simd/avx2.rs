//! x86-64: AVX2 with FMA and F16C, and the same with the dot products of AVX-512 VNNI on 256-bit registers.
//!
//! Tiles of matrix products are computed in 512-bit registers where there are any.

use super::{Kernel, Simd, avx512::Avx512};
use std::arch::x86_64::*;

/// AVX2, FMA, F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2;
/// Those, and AVX-512 VNNI with VL.
#[derive(Clone, Copy)]
pub(super) struct Vnni;

/// # Safety
/// The processor has AVX2, FMA and F16C, and the kernel's arguments are right.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) {
    // SAFETY: the features are those of this function.
    unsafe { kernel.run::<Avx2>() }
}

/// # Safety
/// The processor has AVX2, FMA, F16C, AVX-512 VNNI and VL, and the kernel's arguments are right.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512vnni,avx512vl")]
pub(super) unsafe fn run_vnni<K: Kernel>(kernel: K) {
    // SAFETY: the features are those of this function.
    unsafe { kernel.run::<Vnni>() }
}

macro_rules! simd_256 {
    ($name:ty, $tile:ty, |$acc:ident, $a:ident, $b:ident| $dot_pairs:expr, $($dot:tt)*) => {
        // SAFETY of every block: callers have the instruction set and give valid memory; all accesses are unaligned.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Simd for $name {
            const LANES: usize = 8;
            const TILE_ROWS: usize = 6;
            type Tile = $tile;
            type F32 = __m256;
            type I32 = __m256i;

            #[inline(always)]
            unsafe fn splat(x: f32) -> __m256 {
                unsafe { _mm256_set1_ps(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const f32) -> __m256 {
                unsafe { _mm256_loadu_ps(p) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut f32, v: __m256) {
                unsafe { _mm256_storeu_ps(p, v) }
            }
            #[inline(always)]
            unsafe fn add(a: __m256, b: __m256) -> __m256 {
                unsafe { _mm256_add_ps(a, b) }
            }
            #[inline(always)]
            unsafe fn mul(a: __m256, b: __m256) -> __m256 {
                unsafe { _mm256_mul_ps(a, b) }
            }
            #[inline(always)]
            unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
                unsafe { _mm256_fmadd_ps(a, b, c) }
            }
            #[inline(always)]
            unsafe fn sum(v: __m256) -> f32 {
                unsafe {
                    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
                }
            }
            #[inline(always)]
            unsafe fn sum_four([a, b, c, d]: [__m256; 4], out: *mut f32) {
                unsafe {
                    let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
                    let sums = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
                    _mm_storeu_ps(out, sums);
                }
            }
            #[inline(always)]
            unsafe fn transpose(rows: *const f32, from: usize, out: *mut f32, to: usize) {
                unsafe {
                    let mut r = [_mm256_setzero_ps(); 8];
                    for (i, r) in r.iter_mut().enumerate() {
                        *r = _mm256_loadu_ps(rows.add(i * from));
                    }
                    // Pairs of rows, then pairs of those, then halves.
                    let mut p = r;
                    for i in 0..4 {
                        p[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                        p[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
                    }
                    let mut q = p;
                    for i in 0..2 {
                        for j in 0..2 {
                            let (a, b) = (p[4 * i + j], p[4 * i + j + 2]);
                            q[4 * i + 2 * j] = _mm256_shuffle_ps::<0x44>(a, b);
                            q[4 * i + 2 * j + 1] = _mm256_shuffle_ps::<0xee>(a, b);
                        }
                    }
                    for i in 0..4 {
                        _mm256_storeu_ps(out.add(i * to), _mm256_permute2f128_ps::<0x20>(q[i], q[i + 4]));
                        _mm256_storeu_ps(out.add((i + 4) * to), _mm256_permute2f128_ps::<0x31>(q[i], q[i + 4]));
                    }
                }
            }
            #[inline(always)]
            unsafe fn load_f16(p: *const u8) -> __m256 {
                unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
            }
            #[inline(always)]
            unsafe fn load_bf16(p: *const u8) -> __m256 {
                unsafe {
                    let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
                }
            }

            #[inline(always)]
            unsafe fn prefetch(p: *const i32) {
                unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
            }
            #[inline(always)]
            unsafe fn load_i8(p: *const i8) -> __m256 {
                unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast()))) }
            }
            #[inline(always)]
            unsafe fn zero_i32() -> __m256i {
                unsafe { _mm256_setzero_si256() }
            }
            #[inline(always)]
            unsafe fn splat_i32(p: *const i32) -> __m256i {
                unsafe { _mm256_set1_epi32(p.read_unaligned()) }
            }
            #[inline(always)]
            unsafe fn load_i32(p: *const i32) -> __m256i {
                unsafe { _mm256_loadu_si256(p.cast()) }
            }
            #[inline(always)]
            unsafe fn dot_pairs($acc: __m256i, $a: __m256i, $b: __m256i) -> __m256i {
                unsafe { $dot_pairs }
            }
            #[inline(always)]
            unsafe fn to_f32(v: __m256i) -> __m256 {
                unsafe { _mm256_cvtepi32_ps(v) }
            }

            #[inline(always)]
            unsafe fn add_i32(a: __m256i, b: __m256i) -> __m256i {
                unsafe { _mm256_add_epi32(a, b) }
            }
            #[inline(always)]
            unsafe fn store_i32(p: *mut i32, v: __m256i) {
                unsafe { _mm256_storeu_si256(p.cast(), v) }
            }
            #[inline(always)]
            unsafe fn field(v: __m256i, right: u32, mask: u8) -> __m256i {
                unsafe {
                    let shifted =
                        if right == 0 { v } else { _mm256_srl_epi16(v, _mm_cvtsi32_si128(right as i32)) };
                    _mm256_and_si256(shifted, _mm256_set1_epi8(mask as i8))
                }
            }
            #[inline(always)]
            unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
                unsafe { _mm256_or_si256(a, b) }
            }
            #[inline(always)]
            unsafe fn widen(v: __m256i, signed: bool) -> [__m256i; 2] {
                unsafe {
                    if signed {
                        [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(v)), _mm256_srai_epi16::<8>(v)]
                    } else {
                        [_mm256_and_si256(v, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(v)]
                    }
                }
            }

            $($dot)*
        }
    };
}

simd_256!(Avx2, Avx2, |acc, a, b| _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)), dot_of_pairs!(););
simd_256!(
    Vnni,
    Avx512,
    |acc, a, b| _mm256_dpwssd_epi32(acc, a, b),
    dot_of_bytes!(
        _mm256_dpbusd_epi32,
        _mm256_add_epi8,
        _mm256_set1_epi8,
        _mm256_sub_epi32,
        _mm256_slli_epi32::<7>
    );
);
