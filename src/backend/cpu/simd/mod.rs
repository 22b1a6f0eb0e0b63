//! One vector abstraction: kernels are written once over `Simd`, each instruction set is one file.
//!
//! A `Kernel` is a struct of arguments with a generic body; `Isa::run` calls the body compiled for that instruction
//! set, inside a function with its target features, so that everything inlines. Natively the set is detected when the
//! program runs; WebAssembly has no detection, a module is built for what it uses.
//!
//! Besides f32 and i32 there are registers of four weights in each 32-bit lane, a lane of each row of packed weights. They
//! are multiplied by four activations of 14 bits: as pairs of 16 bits, or, where there is a dot product of bytes, as two bytes
//! each (`Simd::BYTES`). Both are exact, so that every instruction set gives the same integers.

/// [`Simd::dot`] by pairs of i16.
#[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
macro_rules! dot_of_pairs {
    () => {
        type Dot = Self::I32;
        const BYTES: bool = false;
        #[inline(always)]
        unsafe fn dot_zero() -> Self::I32 {
            unsafe { Self::zero_i32() }
        }
        #[inline(always)]
        unsafe fn dot(sum: Self::I32, w: Self::I32, signed: bool, x: *const i32) -> Self::I32 {
            unsafe {
                let [even, odd] = Self::widen(w, signed);
                let sum = Self::dot_pairs(sum, even, Self::splat_i32(x));
                Self::dot_pairs(sum, odd, Self::splat_i32(x.add(1)))
            }
        }
        #[inline(always)]
        unsafe fn dot_join(a: Self::I32, b: Self::I32) -> Self::I32 {
            unsafe { Self::add_i32(a, b) }
        }
        #[inline(always)]
        unsafe fn dot_end(sum: Self::I32, _signed: bool) -> Self::I32 {
            sum
        }
    };
}

/// [`Simd::dot`] by a dot product of four unsigned and four signed bytes in each lane, of which the unsigned ones are at most
/// 127. Signed weights are multiplied by the activations plus `64 << 7`, and what that adds is subtracted.
#[cfg(any(target_arch = "x86_64", target_feature = "relaxed-simd"))]
macro_rules! dot_of_bytes {
    ($dot:expr, $add_bytes:expr, $splat:expr, $sub:expr, $times_128:expr) => {
        type Dot = [Self::I32; 3];
        const BYTES: bool = true;
        #[inline(always)]
        unsafe fn dot_zero() -> [Self::I32; 3] {
            unsafe { [Self::zero_i32(); 3] }
        }
        #[inline(always)]
        unsafe fn dot(
            [high, low, too_large]: [Self::I32; 3],
            w: Self::I32,
            signed: bool,
            x: *const i32,
        ) -> [Self::I32; 3] {
            unsafe {
                let (x_high, x_low) = (Self::splat_i32(x), Self::splat_i32(x.add(1)));
                if signed {
                    let x_high = $add_bytes(x_high, $splat(64));
                    [$dot(high, x_high, w), $dot(low, x_low, w), $dot(too_large, $splat(64), w)]
                } else {
                    [$dot(high, w, x_high), $dot(low, w, x_low), too_large]
                }
            }
        }
        #[inline(always)]
        unsafe fn dot_join(a: [Self::I32; 3], b: [Self::I32; 3]) -> [Self::I32; 3] {
            unsafe { [Self::add_i32(a[0], b[0]), Self::add_i32(a[1], b[1]), Self::add_i32(a[2], b[2])] }
        }
        #[inline(always)]
        unsafe fn dot_end([high, low, too_large]: [Self::I32; 3], signed: bool) -> Self::I32 {
            unsafe {
                let high = if signed { $sub(high, too_large) } else { high };
                Self::add_i32($times_128(high), low)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
pub mod peak;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

use std::{fmt, sync::OnceLock};

/// The vector operations of one instruction set.
///
/// # Safety
/// All functions need the instruction set that they are for (call them from a [`Kernel`] only); those with pointers
/// need as much valid memory as they say. No pointer needs alignment.
#[allow(clippy::missing_safety_doc, reason = "said once for all above")]
pub(crate) trait Simd: Copy + 'static {
    /// f32 or i32 numbers in a register.
    const LANES: usize;
    /// Rows of a register tile of a matrix product, if it is computed in these registers: with two registers of columns each
    /// they fill what the instruction set has.
    const TILE_ROWS: usize;
    /// The registers in which matrix products of f32 are computed.
    type Tile: Lanes;
    /// A register of f32.
    type F32: Copy;
    /// A register of i32, of pairs of i16, or of four bytes.
    type I32: Copy;
    /// A sum of products in progress.
    type Dot: Copy;
    /// Are activations multiplied as bytes? See [`Simd::dot`].
    const BYTES: bool;

    /// Every lane `x`.
    unsafe fn splat(x: f32) -> Self::F32;
    /// Reads a register.
    unsafe fn load(p: *const f32) -> Self::F32;
    /// Writes a register.
    unsafe fn store(p: *mut f32, v: Self::F32);
    /// `a + b`.
    unsafe fn add(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`.
    unsafe fn mul(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, in one rounding or two.
    unsafe fn mul_add(a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// Sum of the lanes.
    unsafe fn sum(v: Self::F32) -> f32;
    /// Writes the sums of the lanes of four registers.
    #[inline(always)]
    unsafe fn sum_four(v: [Self::F32; 4], out: *mut f32) {
        for (i, v) in v.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { out.add(i).write(Self::sum(v)) };
        }
    }
    /// Writes the transpose of a square of as many rows and columns as there are lanes: `rows[i * from + j]` to
    /// `out[j * to + i]`.
    #[inline(always)]
    unsafe fn transpose(rows: *const f32, from: usize, out: *mut f32, to: usize) {
        for i in 0..Self::LANES {
            for j in 0..Self::LANES {
                // SAFETY: the caller's promise.
                unsafe { out.add(j * to + i).write(rows.add(i * from + j).read()) };
            }
        }
    }
    /// Reads and converts as many finite f16 as there are lanes (infinity and NaN may come out as numbers of 65536 and up).
    unsafe fn load_f16(p: *const u8) -> Self::F32;
    /// Reads and converts as many bf16 as there are lanes.
    unsafe fn load_bf16(p: *const u8) -> Self::F32;

    /// Reads and converts as many i8 as there are lanes.
    unsafe fn load_i8(p: *const i8) -> Self::F32;

    /// Every lane zero.
    unsafe fn zero_i32() -> Self::I32;
    /// Every lane the i32 (or pair of i16) at `p`.
    unsafe fn splat_i32(p: *const i32) -> Self::I32;
    /// Reads a register.
    unsafe fn load_i32(p: *const i32) -> Self::I32;
    /// In each lane, `acc` plus the dot product of two pairs of i16.
    unsafe fn dot_pairs(acc: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;
    /// To f32.
    unsafe fn to_f32(v: Self::I32) -> Self::F32;

    /// `a + b`.
    unsafe fn add_i32(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Writes a register.
    unsafe fn store_i32(p: *mut i32, v: Self::I32);
    /// `(byte >> right) & mask` of each byte. `mask` keeps nothing that crossed from one byte
    /// into the next.
    unsafe fn field(v: Self::I32, right: u32, mask: u8) -> Self::I32;
    /// Bitwise or.
    unsafe fn or(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Bytes 0 and 2 of each lane as a pair of i16, and bytes 1 and 3.
    unsafe fn widen(v: Self::I32, signed: bool) -> [Self::I32; 2];

    /// Asks for the cache line at `p`, which may be anywhere: for memory that is read soon, in an order that the processor may not
    /// foresee.
    #[inline(always)]
    unsafe fn prefetch(p: *const i32) {
        let _ = p;
    }
    /// An empty sum.
    unsafe fn dot_zero() -> Self::Dot;
    /// Adds the products of four weights in each lane (`signed`, or else 0..=127) and the same four activations, which are two
    /// words at `x`: pairs (0, 2) and (1, 3) of i16, or if [`Simd::BYTES`] `x >> 7` and `x & 127` in four bytes each.
    unsafe fn dot(sum: Self::Dot, w: Self::I32, signed: bool, x: *const i32) -> Self::Dot;
    /// Two sums in one.
    unsafe fn dot_join(a: Self::Dot, b: Self::Dot) -> Self::Dot;
    /// The sum in each lane.
    unsafe fn dot_end(sum: Self::Dot, signed: bool) -> Self::I32;
}

/// The registers that the tiles of matrix products are computed in: those of [`Simd`], or wider ones.
///
/// # Safety
/// As for [`Simd`].
#[allow(clippy::missing_safety_doc, reason = "said for Simd")]
pub(crate) trait Lanes: Copy + 'static {
    /// Numbers in a register.
    const LANES: usize;
    /// Rows of a register tile.
    const ROWS: usize;
    /// Tokens of a register tile of a product with quantized weights.
    const TOKENS: usize;
    /// A register.
    type F32: Copy;
    /// A register of i32, or of pairs of i16.
    type I32: Copy;
    /// Every lane `x`.
    unsafe fn splat(x: f32) -> Self::F32;
    /// Reads a register.
    unsafe fn load(p: *const f32) -> Self::F32;
    /// Writes a register.
    unsafe fn store(p: *mut f32, v: Self::F32);
    /// `a + b`.
    unsafe fn add(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`.
    unsafe fn mul(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, in one rounding or two.
    unsafe fn mul_add(a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// Every lane zero.
    unsafe fn zero_i32() -> Self::I32;
    /// Every lane the i32 (or pair of i16) at `p`.
    unsafe fn splat_i32(p: *const i32) -> Self::I32;
    /// Reads a register.
    unsafe fn load_i32(p: *const i32) -> Self::I32;
    /// In each lane, `acc` plus the dot product of two pairs of i16.
    unsafe fn dot_pairs(acc: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;
    /// To f32.
    unsafe fn to_f32(v: Self::I32) -> Self::F32;
}

// SAFETY of every block: the callers' promise is the same.
#[allow(clippy::undocumented_unsafe_blocks)]
impl<S: Simd> Lanes for S {
    const LANES: usize = S::LANES;
    const ROWS: usize = S::TILE_ROWS;
    const TOKENS: usize = 4;
    type F32 = S::F32;
    type I32 = S::I32;
    #[inline(always)]
    unsafe fn splat(x: f32) -> S::F32 {
        unsafe { S::splat(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> S::F32 {
        unsafe { S::load(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: S::F32) {
        unsafe { S::store(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: S::F32, b: S::F32) -> S::F32 {
        unsafe { S::add(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: S::F32, b: S::F32) -> S::F32 {
        unsafe { S::mul(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: S::F32, b: S::F32, c: S::F32) -> S::F32 {
        unsafe { S::mul_add(a, b, c) }
    }
    #[inline(always)]
    unsafe fn zero_i32() -> S::I32 {
        unsafe { S::zero_i32() }
    }
    #[inline(always)]
    unsafe fn splat_i32(p: *const i32) -> S::I32 {
        unsafe { S::splat_i32(p) }
    }
    #[inline(always)]
    unsafe fn load_i32(p: *const i32) -> S::I32 {
        unsafe { S::load_i32(p) }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: S::I32, a: S::I32, b: S::I32) -> S::I32 {
        unsafe { S::dot_pairs(acc, a, b) }
    }
    #[inline(always)]
    unsafe fn to_f32(v: S::I32) -> S::F32 {
        unsafe { S::to_f32(v) }
    }
}

/// Largest activation: 14 bits with the sign, the upper seven of which are -64..=63.
pub(crate) const ACT_MAX: i16 = (1 << 13) - 1;

/// A computation with its arguments.
pub(crate) trait Kernel {
    /// Does it, with the instructions of `S`. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor must have them, and the arguments be what the kernel says.
    unsafe fn run<S: Simd>(self);
}

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain code; the compiler may still use what every processor of the architecture has. Not part of a WebAssembly
    /// module with SIMD, which would be downloaded for nothing.
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    Scalar,
    /// AVX2 with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX2 and the 256-bit dot products of AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// NEON, which every aarch64 processor has.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// NEON with the dot products of bytes of Armv8.2.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// 128-bit SIMD of WebAssembly, with relaxed multiply-add when the module is built for it.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm,
}

impl Isa {
    /// What this machine has, slowest first; there is always one.
    pub fn available() -> &'static [Isa] {
        static AVAILABLE: OnceLock<Vec<Isa>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            let all = vec![Isa::Wasm];
            #[cfg(target_arch = "aarch64")]
            let mut all = vec![Isa::Scalar, Isa::Neon];
            #[cfg(target_arch = "aarch64")]
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                all.push(Isa::NeonDot);
            }
            #[cfg(not(any(all(target_arch = "wasm32", target_feature = "simd128"), target_arch = "aarch64")))]
            #[allow(unused_mut, reason = "only x86-64 has more")]
            let mut all = vec![Isa::Scalar];
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
                all.push(Isa::Avx2);
                if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
                    all.push(Isa::Vnni);
                }
            }
            all
        })
    }
    /// The fastest of this machine.
    pub fn best() -> Isa {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        return Isa::Wasm;
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        return Self::available().last().copied().unwrap_or(Isa::Scalar);
    }
    /// Runs `kernel` compiled for this instruction set.
    ///
    /// # Safety
    /// `self` is one of [`Isa::available`], and the kernel's arguments are what it says.
    #[inline]
    pub(crate) unsafe fn run<K: Kernel>(self, kernel: K) {
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
                Isa::Scalar => kernel.run::<scalar::Scalar>(),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::run_avx2(kernel),
                #[cfg(target_arch = "x86_64")]
                Isa::Vnni => avx2::run_vnni(kernel),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => kernel.run::<neon::Neon>(),
                #[cfg(target_arch = "aarch64")]
                Isa::NeonDot => neon::run_dot(kernel),
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                Isa::Wasm => wasm::run(kernel),
            }
        }
    }
}

/// A computation in plain loops, which the compiler makes vector code of.
pub(crate) trait Loops {
    /// Does it. Implementations are `#[inline(always)]`.
    fn run(self);
}

/// Runs loops compiled for the fastest instruction set of this machine.
pub(crate) fn run_best(loops: impl Loops) {
    struct Plain<L>(L);
    impl<L: Loops> Kernel for Plain<L> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            self.0.run();
        }
    }
    // SAFETY: the machine has its best instruction set, and the loops promise nothing.
    unsafe { Isa::best().run(Plain(loops)) }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Vnni => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => "neon-dotprod",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Wasm if cfg!(target_feature = "relaxed-simd") => "wasm relaxed-simd",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Wasm => "wasm simd128",
        })
    }
}

/// f16 bits to f32, without branches, so that loops over it become vector code.
#[inline(always)]
pub(crate) fn f16_to_f32(h: u16) -> f32 {
    let magnitude = u32::from(h & 0x7fff) << 13;
    // 2^112 moves the exponent's bias from f16's to f32's, and is exact for subnormal numbers too
    let value = f32::from_bits(magnitude) * f32::from_bits(0x7780_0000);
    let special = if h & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(value.to_bits() | special | u32::from(h & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    #[test]
    fn every_f16_converts() {
        for h in 0..=u16::MAX {
            let (ours, reference) = (f16_to_f32(h), f16::from_bits(h).to_f32());
            assert!(ours.to_bits() == reference.to_bits() || (ours.is_nan() && reference.is_nan()), "{h:#x}: {ours}");
        }
    }
}
