//! aarch64: NEON, without the optional dot-product instructions.
//!
//! Weights are 8-bit lanes in two registers, activations 16-bit lanes in four, in memory order.

use super::{IN_ORDER, Simd};
use std::arch::aarch64::*;

/// Baseline NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon;

/// `acc` plus the products of 16 weights and activations, spread over four lanes.
#[inline(always)]
unsafe fn dot16(acc: int32x4_t, w: int8x16_t, a: [int16x8_t; 2]) -> int32x4_t {
    // SAFETY: aarch64 has NEON.
    unsafe {
        let (low, high) = (vmovl_s8(vget_low_s8(w)), vmovl_high_s8(w));
        let acc = vmlal_high_s16(vmlal_s16(acc, vget_low_s16(low), vget_low_s16(a[0])), low, a[0]);
        vmlal_high_s16(vmlal_s16(acc, vget_low_s16(high), vget_low_s16(a[1])), high, a[1])
    }
}

// SAFETY of all blocks: aarch64 has NEON, and callers give valid memory; loads need no alignment beyond the element's,
// and where memory is not aligned to elements it is read as bytes.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Neon {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 8;
    type Tile = Self;
    type F32 = float32x4_t;
    type I32 = int32x4_t;
    type Bytes = [uint8x16_t; 2];
    type Weights = [int8x16_t; 2];
    type Acts = [int16x8_t; 4];

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
    unsafe fn scale_8(p: *const i8, scale: f32, out: *mut f32) {
        unsafe {
            let wide = vmovl_s8(vld1_s8(p));
            for (i, half) in [vget_low_s16(wide), vget_high_s16(wide)].into_iter().enumerate() {
                Self::store(out.add(4 * i), vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(half)), scale));
            }
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
    unsafe fn load_bytes(p: *const u8) -> [uint8x16_t; 2] {
        unsafe { [vld1q_u8(p), vld1q_u8(p.add(16))] }
    }
    #[inline(always)]
    unsafe fn field(v: [uint8x16_t; 2], right: i32, mask: u8) -> [int8x16_t; 2] {
        unsafe {
            let (by, mask) = (vdupq_n_s8(-right as i8), vdupq_n_u8(mask));
            v.map(|v| vreinterpretq_s8_u8(vandq_u8(vshlq_u8(v, by), mask)))
        }
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> [int8x16_t; 2] {
        unsafe {
            let v = vld1q_u8(p);
            [vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))), vreinterpretq_s8_u8(vshrq_n_u8::<4>(v))]
        }
    }
    #[inline(always)]
    unsafe fn bits_to_16(word: u32) -> [int8x16_t; 2] {
        unsafe {
            const BIT: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
            let bit = vld1q_u8(BIT.as_ptr());
            let b = word.to_le_bytes();
            let expand = |low: u8, high: u8| {
                let bytes = vcombine_u8(vdup_n_u8(low), vdup_n_u8(high));
                vreinterpretq_s8_u8(vandq_u8(vtstq_u8(bytes, bit), vdupq_n_u8(16)))
            };
            [expand(b[0], b[1]), expand(b[2], b[3])]
        }
    }
    #[inline(always)]
    unsafe fn signed(v: [uint8x16_t; 2]) -> [int8x16_t; 2] {
        unsafe { v.map(|v| vreinterpretq_s8_u8(v)) }
    }
    #[inline(always)]
    unsafe fn or(a: [int8x16_t; 2], b: [int8x16_t; 2]) -> [int8x16_t; 2] {
        unsafe { [vorrq_s8(a[0], b[0]), vorrq_s8(a[1], b[1])] }
    }

    #[inline(always)]
    fn order(_signed: bool) -> &'static [u8; 32] {
        &IN_ORDER
    }
    #[inline(always)]
    unsafe fn load_acts(p: *const i16) -> [int16x8_t; 4] {
        unsafe { [0, 8, 16, 24].map(|i| vreinterpretq_s16_u8(vld1q_u8(p.add(i).cast()))) }
    }
    #[inline(always)]
    unsafe fn dot(w: [int8x16_t; 2], a: [int16x8_t; 4]) -> int32x4_t {
        unsafe { dot16(dot16(vdupq_n_s32(0), w[0], [a[0], a[1]]), w[1], [a[2], a[3]]) }
    }
    #[inline(always)]
    unsafe fn dot_signed(w: [int8x16_t; 2], a: [int16x8_t; 4]) -> int32x4_t {
        unsafe { Self::dot(w, a) }
    }
    #[inline(always)]
    unsafe fn dot_halves(w: [int8x16_t; 2], a: [int16x8_t; 4], scales: *const f32, acc: float32x4_t) -> float32x4_t {
        unsafe {
            let low = vcvtq_f32_s32(dot16(vdupq_n_s32(0), w[0], [a[0], a[1]]));
            let high = vcvtq_f32_s32(dot16(vdupq_n_s32(0), w[1], [a[2], a[3]]));
            vfmaq_n_f32(vfmaq_n_f32(acc, low, *scales), high, *scales.add(1))
        }
    }
    #[inline(always)]
    unsafe fn store_i16(w: [int8x16_t; 2], _signed: bool, offset: i16, factors: (i16, i16), p: *mut i16) {
        unsafe {
            for (i, (v, factor)) in w.into_iter().zip([factors.0, factors.1]).enumerate() {
                for (j, wide) in [vmovl_s8(vget_low_s8(v)), vmovl_high_s8(v)].into_iter().enumerate() {
                    let scaled = vmulq_n_s16(vsubq_s16(wide, vdupq_n_s16(offset)), factor);
                    vst1q_u8(p.add(16 * i + 8 * j).cast(), vreinterpretq_u8_s16(scaled));
                }
            }
        }
    }
}
