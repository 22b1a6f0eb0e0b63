//! Element types of kernels: storage types, and the wide types that arithmetic is done in.
//!
//! f16 and bf16 compute through f32; every other dtype computes in itself. So kernels are written once over
//! slices of [`Wide`], and loading and storing convert.

use super::math;
use crate::{
    dtype::{DType, Element},
    op::{Binary, Unary},
};
use half::{bf16, f16};

/// A plain element type.
pub(super) trait Num: Element {
    /// What arithmetic is done in.
    type Wide: Wide;
    fn widen(self) -> Self::Wide;
    fn shorten(wide: Self::Wide) -> Self;
    /// The slice itself, where the element type is wide.
    fn as_wide(slice: &[Self]) -> Option<&[Self::Wide]>;
    /// The slice itself, where the element type is wide.
    fn as_wide_mut(slice: &mut [Self]) -> Option<&mut [Self::Wide]>;
}

/// A type that arithmetic is done in: f32, f64 or an integer (wrapping on overflow).
pub(super) trait Wide: Num<Wide = Self> + Default {
    const ZERO: Self;
    const ONE: Self;
    /// For maxima to begin with.
    const LOWEST: Self;
    /// For minima to begin with.
    const HIGHEST: Self;
    /// Integers are rounded to nearest and saturate.
    fn from_f64(value: f64) -> Self;
    /// As a parameter of wrapping arithmetic: -1 as u8 is 255, so that adding it subtracts 1.
    fn parameter(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn to_i64(self) -> i64;
    fn is_nan(self) -> bool;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// The larger; NaN if either is.
    fn larger(self, other: Self) -> Self;
    /// The smaller; NaN if either is.
    fn smaller(self, other: Self) -> Self;
    /// Applies a function to each element.
    /// Not inlined, as `binary`: one copy serves every dtype that is computed in this type.
    fn unary(op: Unary, x: &mut [Self]);
    /// `a[i] = op(a[i], b[i])`
    fn binary(op: Binary, a: &mut [Self], b: &[Self]);
}

macro_rules! wide {
    ($($t:ty),*) => { $(
        impl Num for $t {
            type Wide = $t;
            fn widen(self) -> $t {
                self
            }
            fn shorten(wide: $t) -> $t {
                wide
            }
            fn as_wide(slice: &[$t]) -> Option<&[$t]> {
                Some(slice)
            }
            fn as_wide_mut(slice: &mut [$t]) -> Option<&mut [$t]> {
                Some(slice)
            }
        }
    )* };
}
wide!(f32, f64, i64, i32, u32, u8);

macro_rules! half {
    ($($t:ty),*) => { $(
        impl Num for $t {
            type Wide = f32;
            fn widen(self) -> f32 {
                self.to_f32()
            }
            fn shorten(wide: f32) -> $t {
                <$t>::from_f32(wide)
            }
            fn as_wide(_: &[$t]) -> Option<&[f32]> {
                None
            }
            fn as_wide_mut(_: &mut [$t]) -> Option<&mut [f32]> {
                None
            }
        }
    )* };
}
half!(f16, bf16);

fn map<T: Copy>(x: &mut [T], f: impl Fn(T) -> T) {
    for v in x {
        *v = f(*v);
    }
}

fn zip<T: Copy>(a: &mut [T], b: &[T], f: impl Fn(T, T) -> T) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a = f(*a, b);
    }
}

macro_rules! float {
    ($t:ident, $math:path) => {
        impl Wide for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const LOWEST: $t = $t::NEG_INFINITY;
            const HIGHEST: $t = $t::INFINITY;
            fn from_f64(value: f64) -> $t {
                value as $t
            }
            fn parameter(value: f64) -> $t {
                value as $t
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_i64(self) -> i64 {
                self as i64
            }
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            fn plus(self, other: $t) -> $t {
                self + other
            }
            fn times(self, other: $t) -> $t {
                self * other
            }
            fn larger(self, other: $t) -> $t {
                if other > self || other.is_nan() { other } else { self }
            }
            fn smaller(self, other: $t) -> $t {
                if other < self || other.is_nan() { other } else { self }
            }
            #[inline(never)]
            fn unary(op: Unary, x: &mut [$t]) {
                use $math as m;
                const SQRT_2_OVER_PI: $t = std::$t::consts::FRAC_2_SQRT_PI * std::$t::consts::FRAC_1_SQRT_2;
                match op {
                    Unary::Neg => map(x, |v| -v),
                    Unary::Abs => map(x, $t::abs),
                    Unary::Sign => map(x, |v| f64::from(u8::from(v > 0.0)) as $t - f64::from(u8::from(v < 0.0)) as $t),
                    Unary::Exp => map(x, m::exp),
                    Unary::Log => map(x, $t::ln),
                    Unary::Sqrt => map(x, $t::sqrt),
                    Unary::Rsqrt => map(x, |v| 1.0 / v.sqrt()),
                    Unary::Recip => map(x, |v| 1.0 / v),
                    Unary::Sqr => map(x, |v| v * v),
                    Unary::Sin => map(x, $t::sin),
                    Unary::Cos => map(x, $t::cos),
                    Unary::Tanh => map(x, m::tanh),
                    Unary::Erf => map(x, m::erf),
                    Unary::Floor => map(x, $t::floor),
                    Unary::Ceil => map(x, $t::ceil),
                    Unary::Round => map(x, $t::round_ties_even),
                    Unary::Sigmoid => map(x, |v| 1.0 / (1.0 + m::exp(-v))),
                    Unary::Relu => map(x, |v| if v < 0.0 { 0.0 } else { v }),
                    Unary::Silu => map(x, |v| v / (1.0 + m::exp(-v))),
                    Unary::Gelu => map(x, |v| 0.5 * v * (1.0 + m::erf(v * std::$t::consts::FRAC_1_SQRT_2))),
                    // 0.5 v (1 + tanh u) = v / (1 + e^-2u)
                    Unary::GeluTanh => map(x, |v| {
                        let u = SQRT_2_OVER_PI * (v + 0.044715 * v * v * v);
                        v / (1.0 + m::exp(-2.0 * u))
                    }),
                }
            }
            #[inline(never)]
            fn binary(op: Binary, a: &mut [$t], b: &[$t]) {
                match op {
                    Binary::Add => zip(a, b, |a, b| a + b),
                    Binary::Sub => zip(a, b, |a, b| a - b),
                    Binary::Mul => zip(a, b, |a, b| a * b),
                    Binary::Div => zip(a, b, |a, b| a / b),
                    Binary::Pow => zip(a, b, $t::powf),
                    Binary::Min => zip(a, b, $t::smaller),
                    Binary::Max => zip(a, b, $t::larger),
                }
            }
        }
    };
}
float!(f32, math::single);
float!(f64, math::double);

macro_rules! int {
    ($($t:ident),*) => { $(
        impl Wide for $t {
            const ZERO: $t = 0;
            const ONE: $t = 1;
            const LOWEST: $t = $t::MIN;
            const HIGHEST: $t = $t::MAX;
            fn from_f64(value: f64) -> $t {
                value.round_ties_even() as $t
            }
            fn parameter(value: f64) -> $t {
                value.round_ties_even() as i64 as $t
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_i64(self) -> i64 {
                self as i64
            }
            fn is_nan(self) -> bool {
                false
            }
            fn plus(self, other: $t) -> $t {
                self.wrapping_add(other)
            }
            fn times(self, other: $t) -> $t {
                self.wrapping_mul(other)
            }
            fn larger(self, other: $t) -> $t {
                self.max(other)
            }
            fn smaller(self, other: $t) -> $t {
                self.min(other)
            }
            #[inline(never)]
            fn unary(op: Unary, x: &mut [$t]) {
                #[allow(unused_comparisons)]
                match op {
                    Unary::Neg => map(x, |v| (0 as $t).wrapping_sub(v)),
                    Unary::Abs => map(x, |v| if v < 0 { (0 as $t).wrapping_sub(v) } else { v }),
                    Unary::Sign => map(x, |v| ((v > 0) as $t).wrapping_sub((v < 0) as $t)),
                    Unary::Sqr => map(x, |v| v.wrapping_mul(v)),
                    Unary::Relu => map(x, |v| v.max(0)),
                    // Rounding changes no integer; inference lets nothing else through.
                    _ => {}
                }
            }
            #[inline(never)]
            fn binary(op: Binary, a: &mut [$t], b: &[$t]) {
                match op {
                    Binary::Add => zip(a, b, $t::wrapping_add),
                    Binary::Sub => zip(a, b, $t::wrapping_sub),
                    Binary::Mul => zip(a, b, $t::wrapping_mul),
                    // Zero divisors are refused before.
                    Binary::Div => zip(a, b, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }),
                    Binary::Pow => zip(a, b, |a, b| match u32::try_from(b) {
                        Ok(b) => a.wrapping_pow(b),
                        Err(_) => (a as f64).powf(b as f64) as $t,
                    }),
                    Binary::Min => zip(a, b, Ord::min),
                    Binary::Max => zip(a, b, Ord::max),
                }
            }
        }
    )* };
}
int!(i64, i32, u32, u8);

/// Conversion as Rust's `as`: saturating, NaN to 0.
pub(super) trait CastTo<B>: Copy {
    fn cast(self) -> B;
}
macro_rules! cast {
    ($($a:ty => $($b:ty),*;)*) => { $($(
        impl CastTo<$b> for $a {
            #[allow(clippy::unnecessary_cast)]
            fn cast(self) -> $b {
                self as $b
            }
        }
    )*)* };
}
cast! {
    f64 => f32, f64, i64, i32, u32, u8;
    i64 => f32, f64, i64, i32, u32, u8;
}

/// Runs `$body` with `$t` as the element type of a plain dtype.
macro_rules! with_num {
    ($dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::dtype::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::dtype::DType::F16 => {
                type $t = half::f16;
                $body
            }
            $crate::dtype::DType::BF16 => {
                type $t = half::bf16;
                $body
            }
            $crate::dtype::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::dtype::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::dtype::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::dtype::DType::U32 => {
                type $t = u32;
                $body
            }
            $crate::dtype::DType::U8 => {
                type $t = u8;
                $body
            }
            other => Err($crate::backend::cpu::num::no_kernel($op, other)),
        }
    };
}
pub(super) use with_num;

/// The error for a dtype that inference should not have let through.
pub(super) fn no_kernel(op: &'static str, dtype: DType) -> crate::error::Error {
    crate::error::Error::dtype(op, format!("the cpu has no kernel for {dtype}"))
}
