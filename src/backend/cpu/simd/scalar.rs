//! Plain Rust: the reference for the others, and the fallback.

use super::{IN_ORDER, Simd, f16_to_f32};

/// Four lanes of plain arrays.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

#[inline(always)]
fn zip<T: Copy>(a: [T; 4], b: [T; 4], f: impl Fn(T, T) -> T) -> [T; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn dot(w: &[i8], a: &[i16]) -> i32 {
    w.iter().zip(a).map(|(w, a)| i32::from(*w) * i32::from(*a)).sum()
}

// SAFETY of all pointer reads and writes: the trait asks callers for valid memory; none assumes alignment.
impl Simd for Scalar {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 4;
    type Tile = Self;
    type F32 = [f32; 4];
    type I32 = [i32; 4];
    type Bytes = [u8; 32];
    type Weights = [i8; 32];
    type Acts = [i16; 32];

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 4] {
        // SAFETY: see above.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 4]) {
        // SAFETY: see above.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        zip(zip(a, b, |a, b| a * b), c, |p, c| p + c)
    }
    #[inline(always)]
    unsafe fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u8) -> [f32; 4] {
        // SAFETY: see above.
        unsafe { p.cast::<[u16; 4]>().read_unaligned() }.map(f16_to_f32)
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u8) -> [f32; 4] {
        // SAFETY: see above.
        unsafe { p.cast::<[u16; 4]>().read_unaligned() }.map(|h| f32::from_bits(u32::from(h) << 16))
    }

    #[inline(always)]
    unsafe fn scale_8(p: *const i8, scale: f32, out: *mut f32) {
        // SAFETY: see above.
        unsafe {
            let bytes = p.cast::<[i8; 8]>().read_unaligned();
            out.cast::<[f32; 8]>().write_unaligned(bytes.map(|b| scale * f32::from(b)));
        }
    }
    #[inline(always)]
    unsafe fn zero_i32() -> [i32; 4] {
        [0; 4]
    }
    #[inline(always)]
    unsafe fn splat_i32(p: *const i32) -> [i32; 4] {
        // SAFETY: see above.
        [unsafe { p.read_unaligned() }; 4]
    }
    #[inline(always)]
    unsafe fn load_i32(p: *const i32) -> [i32; 4] {
        // SAFETY: see above.
        unsafe { p.cast::<[i32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: [i32; 4], a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        let pair = |a: i32, b: i32| i32::from(a as i16) * i32::from(b as i16) + (a >> 16) * (b >> 16);
        zip(acc, zip(a, b, pair), |acc, p| acc + p)
    }
    #[inline(always)]
    unsafe fn to_f32(v: [i32; 4]) -> [f32; 4] {
        v.map(|x| x as f32)
    }

    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> [u8; 32] {
        // SAFETY: see above.
        unsafe { p.cast::<[u8; 32]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn field(v: [u8; 32], right: i32, mask: u8) -> [i8; 32] {
        v.map(|b| (if right >= 0 { b >> right } else { b << -right } & mask) as i8)
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> [i8; 32] {
        // SAFETY: see above.
        let packed = unsafe { p.cast::<[u8; 16]>().read_unaligned() };
        std::array::from_fn(|i| (packed[i % 16] >> (i / 16 * 4) & 15) as i8)
    }
    #[inline(always)]
    unsafe fn bits_to_16(word: u32) -> [i8; 32] {
        std::array::from_fn(|i| (word >> i & 1) as i8 * 16)
    }
    #[inline(always)]
    unsafe fn signed(v: [u8; 32]) -> [i8; 32] {
        v.map(|b| b as i8)
    }
    #[inline(always)]
    unsafe fn or(a: [i8; 32], b: [i8; 32]) -> [i8; 32] {
        std::array::from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn order(_signed: bool) -> &'static [u8; 32] {
        &IN_ORDER
    }
    #[inline(always)]
    unsafe fn load_acts(p: *const i16) -> [i16; 32] {
        // SAFETY: see above.
        unsafe { p.cast::<[i16; 32]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn dot(w: [i8; 32], a: [i16; 32]) -> [i32; 4] {
        [dot(&w, &a), 0, 0, 0]
    }
    #[inline(always)]
    unsafe fn dot_signed(w: [i8; 32], a: [i16; 32]) -> [i32; 4] {
        [dot(&w, &a), 0, 0, 0]
    }
    #[inline(always)]
    unsafe fn dot_halves(w: [i8; 32], a: [i16; 32], scales: *const f32, acc: [f32; 4]) -> [f32; 4] {
        let (low, high) = (dot(&w[..16], &a[..16]) as f32, dot(&w[16..], &a[16..]) as f32);
        // SAFETY: see above.
        let scales = unsafe { scales.cast::<[f32; 2]>().read_unaligned() };
        [acc[0] + (low * scales[0] + high * scales[1]), acc[1], acc[2], acc[3]]
    }
    #[inline(always)]
    unsafe fn store_i16(w: [i8; 32], _signed: bool, offset: i16, factors: (i16, i16), p: *mut i16) {
        let wide: [i16; 32] =
            std::array::from_fn(|i| (i16::from(w[i]) - offset) * if i < 16 { factors.0 } else { factors.1 });
        // SAFETY: see above.
        unsafe { p.cast::<[i16; 32]>().write_unaligned(wide) }
    }
}
