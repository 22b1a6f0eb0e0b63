//! aarch64: NEON, which every processor has, and its dot products of bytes, which newer ones have (since Armv8.2).

use super::{Kernel, Simd};
use std::arch::{aarch64::*, asm};

/// Baseline NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon;

/// NEON with dot products.
#[derive(Clone, Copy)]
pub(super) struct NeonDot;

/// # Safety
/// The processor has dot products, and the kernel's arguments are right.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn run_dot<K: Kernel>(kernel: K) {
    // SAFETY: the caller's promise.
    unsafe { kernel.run::<NeonDot>() }
}

/// Adds to each lane the dot product of four signed bytes with four others. (The intrinsic is not stable yet.)
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
unsafe fn dot(mut sum: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
    // SAFETY: the caller's promise; nothing but registers is touched.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

macro_rules! simd_neon {
    ($name:ident, $($dot:tt)*) => {
        // SAFETY of all blocks: aarch64 has NEON, and callers give valid memory; loads need no alignment beyond the element's,
        // and where memory is not aligned to elements it is read as bytes.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Simd for $name {
            const LANES: usize = 4;
            const TILE_ROWS: usize = 8;
            type Tile = Self;
            type F32 = float32x4_t;
            type I32 = int32x4_t;

            #[inline(always)]
            unsafe fn splat(x: f32) -> float32x4_t {
                unsafe { vdupq_n_f32(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const f32) -> float32x4_t {
                unsafe { vreinterpretq_f32_u8(vld1q_u8(p.cast())) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut f32, v: float32x4_t) {
                unsafe { vst1q_u8(p.cast(), vreinterpretq_u8_f32(v)) }
            }
            #[inline(always)]
            unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
                unsafe { vaddq_f32(a, b) }
            }
            #[inline(always)]
            unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
                unsafe { vmulq_f32(a, b) }
            }
            #[inline(always)]
            unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
                unsafe { vfmaq_f32(c, a, b) }
            }
            #[inline(always)]
            unsafe fn sum(v: float32x4_t) -> f32 {
                unsafe { vaddvq_f32(v) }
            }
            #[inline(always)]
            unsafe fn load_f16(p: *const u8) -> float32x4_t {
                unsafe {
                    // extended with its sign, so that the shift leaves the sign at the top; see f16_to_f32 (the conversion
                    // instruction has no stable intrinsic)
                    let wide = vshll_n_s16::<13>(vreinterpret_s16_u8(vld1_u8(p)));
                    let bits = vandq_s32(wide, vdupq_n_s32(0x8fff_e000_u32 as i32));
                    vmulq_n_f32(vreinterpretq_f32_s32(bits), f32::from_bits(0x7780_0000))
                }
            }
            #[inline(always)]
            unsafe fn load_bf16(p: *const u8) -> float32x4_t {
                unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vreinterpret_u16_u8(vld1_u8(p)))) }
            }

            #[inline(always)]
            unsafe fn load_i8(p: *const i8) -> float32x4_t {
                unsafe {
                    let wide = vmovl_s8(vcreate_s8(p.cast::<u32>().read_unaligned().into()));
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)))
                }
            }
            #[inline(always)]
            unsafe fn zero_i32() -> int32x4_t {
                unsafe { vdupq_n_s32(0) }
            }
            #[inline(always)]
            unsafe fn splat_i32(p: *const i32) -> int32x4_t {
                unsafe { vdupq_n_s32(p.read_unaligned()) }
            }
            #[inline(always)]
            unsafe fn load_i32(p: *const i32) -> int32x4_t {
                unsafe { vreinterpretq_s32_u8(vld1q_u8(p.cast())) }
            }
            #[inline(always)]
            unsafe fn dot_pairs(acc: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
                unsafe {
                    let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
                    let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
                    vaddq_s32(acc, vpaddq_s32(low, vmull_high_s16(a, b)))
                }
            }
            #[inline(always)]
            unsafe fn to_f32(v: int32x4_t) -> float32x4_t {
                unsafe { vcvtq_f32_s32(v) }
            }

            #[inline(always)]
            unsafe fn add_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t {
                unsafe { vaddq_s32(a, b) }
            }
            #[inline(always)]
            unsafe fn store_i32(p: *mut i32, v: int32x4_t) {
                unsafe { vst1q_u8(p.cast(), vreinterpretq_u8_s32(v)) }
            }
            #[inline(always)]
            unsafe fn field(v: int32x4_t, right: u32, mask: u8) -> int32x4_t {
                unsafe {
                    let shifted = vshlq_u8(vreinterpretq_u8_s32(v), vdupq_n_s8(-(right as i8)));
                    vreinterpretq_s32_u8(vandq_u8(shifted, vdupq_n_u8(mask)))
                }
            }
            #[inline(always)]
            unsafe fn or(a: int32x4_t, b: int32x4_t) -> int32x4_t {
                unsafe { vorrq_s32(a, b) }
            }
            #[inline(always)]
            unsafe fn widen(v: int32x4_t, signed: bool) -> [int32x4_t; 2] {
                unsafe {
                    if signed {
                        let v = vreinterpretq_s16_s32(v);
                        let even = vshrq_n_s16::<8>(vshlq_n_s16::<8>(v));
                        [vreinterpretq_s32_s16(even), vreinterpretq_s32_s16(vshrq_n_s16::<8>(v))]
                    } else {
                        let v = vreinterpretq_u16_s32(v);
                        let even = vandq_u16(v, vdupq_n_u16(0xff));
                        [vreinterpretq_s32_u16(even), vreinterpretq_s32_u16(vshrq_n_u16::<8>(v))]
                    }
                }
            }

            $($dot)*
        }
    };
}

/// [`Simd::dot`] by dot products of signed bytes: no value of either operand is beyond.
macro_rules! dot_of_signed_bytes {
    () => {
        type Dot = [int32x4_t; 2];
        const BYTES: bool = true;
        #[inline(always)]
        unsafe fn dot_zero() -> [int32x4_t; 2] {
            unsafe { [vdupq_n_s32(0); 2] }
        }
        #[inline(always)]
        unsafe fn dot([high, low]: [int32x4_t; 2], w: int32x4_t, _signed: bool, x: *const i32) -> [int32x4_t; 2] {
            unsafe { [dot(high, w, Self::splat_i32(x)), dot(low, w, Self::splat_i32(x.add(1)))] }
        }
        #[inline(always)]
        unsafe fn dot_join(a: [int32x4_t; 2], b: [int32x4_t; 2]) -> [int32x4_t; 2] {
            unsafe { [vaddq_s32(a[0], b[0]), vaddq_s32(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn dot_end([high, low]: [int32x4_t; 2], _signed: bool) -> int32x4_t {
            unsafe { vaddq_s32(vshlq_n_s32::<7>(high), low) }
        }
    };
}

simd_neon!(Neon, dot_of_pairs!(););
simd_neon!(NeonDot, dot_of_signed_bytes!(););
