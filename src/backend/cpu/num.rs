//! Element types of kernels: storage types, and the wide types that arithmetic is done in.
//!
//! f16 and bf16 compute in f32, integers in i64, of which the low bits are what wrapping arithmetic in themselves gives. So
//! kernels are written once over slices of [`Wide`] and compiled three times; loading and storing convert.

use super::{
    math,
    simd::{Loops, run_best},
};
use crate::{
    dtype::{DType, Element},
    op::{Binary, Gate, Unary},
};
use half::{bf16, f16};

/// A plain element type.
pub(super) trait Num: Element {
    /// What arithmetic is done in.
    type Wide: Wide;
    fn widen(self) -> Self::Wide;
    /// Of integers the low bits.
    fn shorten(wide: Self::Wide) -> Self;
}

/// Copies elements of one dtype, `from, from + stride, …` of the bytes, into wide ones.
pub(super) type Load<W> = fn(&[u8], usize, usize, &mut [W]);
/// Writes wide elements as those of one dtype.
pub(super) type Store<W> = fn(&[W], &mut [u8]);

/// A type that arithmetic is done in: f32, f64 or i64 (wrapping on overflow).
pub(super) trait Wide: Num<Wide = Self> + Default {
    const ZERO: Self;
    const ONE: Self;
    /// For maxima to begin with.
    const LOWEST: Self;
    /// For minima to begin with.
    const HIGHEST: Self;
    /// How elements of a dtype that is computed in this type are read and written; `None` for other dtypes.
    fn access(dtype: DType) -> Option<(Load<Self>, Store<Self>)>;
    /// Integers are rounded to nearest and saturate.
    fn from_f64(value: f64) -> Self;
    /// As an element of a dtype that is computed in this type: integers are rounded and saturate.
    fn from_f64_as(value: f64, dtype: DType) -> Self;
    /// As a parameter of wrapping arithmetic: -1 as u8 is 255, so that adding it subtracts 1.
    fn parameter(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn is_nan(self) -> bool;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// The larger; NaN if either is.
    fn larger(self, other: Self) -> Self;
    /// The smaller; NaN if either is.
    fn smaller(self, other: Self) -> Self;
    /// Applies a function to each element. Not inlined, as `binary`: one copy serves every dtype that is computed in this type.
    fn unary(op: Unary, x: &mut [Self]);
    /// `a[i] = op(a[i], b[i])`
    fn binary(op: Binary, a: &mut [Self], b: &[Self]);
    /// `a[i] = gate(a[i]) * b[i]`
    fn gate(gate: Gate, a: &mut [Self], b: &[Self]) {
        let gate = match gate {
            Gate::Silu => Unary::Silu,
            Gate::Gelu => Unary::Gelu,
            Gate::GeluTanh => Unary::GeluTanh,
            Gate::Relu => Unary::Relu,
        };
        Self::unary(gate, a);
        Self::binary(Binary::Mul, a, b);
    }
}

/// A loop over elements in a function of its own: V8 allocates registers badly in one that holds many loops.
struct OnEach<'a, T, F>(&'a mut [T], F);
impl<T: Copy, F: Fn(T) -> T> Loops for OnEach<'_, T, F> {
    #[inline(always)]
    fn run(self) {
        map(self.0, self.1);
    }
}

/// Likewise over pairs.
struct OnPairs<'a, T, F>(&'a mut [T], &'a [T], F);
impl<T: Copy, F: Fn(T, T) -> T> Loops for OnPairs<'_, T, F> {
    #[inline(always)]
    fn run(self) {
        zip(self.0, self.1, self.2);
    }
}

macro_rules! num {
    ($($t:ty as $wide:ty: $v:ident => $widen:expr, $shorten:expr;)*) => { $(
        impl Num for $t {
            type Wide = $wide;
            fn widen(self) -> $wide {
                let $v = self;
                $widen
            }
            fn shorten($v: $wide) -> $t {
                $shorten
            }
        }
    )* };
}
num! {
    f32 as f32: v => v, v;
    f16 as f32: v => v.to_f32(), f16::from_f32(v);
    bf16 as f32: v => v.to_f32(), bf16::from_f32(v);
    f64 as f64: v => v, v;
    i64 as i64: v => v, v;
    i32 as i64: v => v.into(), v as i32;
    u32 as i64: v => v.into(), v as u32;
    u8 as i64: v => v.into(), v as u8;
}

fn load<T: Num>(data: &[u8], from: usize, stride: usize, out: &mut [T::Wide]) {
    super::walk::load(bytemuck::cast_slice::<u8, T>(data), from, stride, out);
}

fn store<T: Num>(values: &[T::Wide], out: &mut [u8]) {
    bytemuck::cast_slice_mut::<u8, T>(out).iter_mut().zip(values).for_each(|(o, &v)| *o = T::shorten(v));
}

#[inline(always)]
fn map<T: Copy>(x: &mut [T], f: impl Fn(T) -> T) {
    for v in x {
        *v = f(*v);
    }
}

#[inline(always)]
fn zip<T: Copy>(a: &mut [T], b: &[T], f: impl Fn(T, T) -> T) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a = f(*a, b);
    }
}

macro_rules! float {
    ($t:ident, $math:path, $($dtype:ident $element:ty),*) => {
        impl Wide for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const LOWEST: $t = $t::NEG_INFINITY;
            const HIGHEST: $t = $t::INFINITY;
            fn access(dtype: DType) -> Option<(Load<$t>, Store<$t>)> {
                match dtype {
                    $(DType::$dtype => Some((load::<$element>, store::<$element>)),)*
                    _ => None,
                }
            }
            fn from_f64(value: f64) -> $t {
                value as $t
            }
            fn from_f64_as(value: f64, _: DType) -> $t {
                value as $t
            }
            fn parameter(value: f64) -> $t {
                value as $t
            }
            fn to_f64(self) -> f64 {
                self as f64
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
                match op {
                    Unary::Neg => run_best(OnEach(x, |v: $t| -v)),
                    Unary::Abs => run_best(OnEach(x, $t::abs)),
                    Unary::Sign => map(x, |v| f64::from(u8::from(v > 0.0)) as $t - f64::from(u8::from(v < 0.0)) as $t),
                    Unary::Exp => run_best(OnEach(x, m::exp)),
                    Unary::Log => run_best(OnEach(x, m::log)),
                    Unary::Sqrt => run_best(OnEach(x, $t::sqrt)),
                    Unary::Rsqrt => run_best(OnEach(x, |v: $t| 1.0 / v.sqrt())),
                    Unary::Recip => run_best(OnEach(x, |v: $t| 1.0 / v)),
                    Unary::Sqr => run_best(OnEach(x, |v: $t| v * v)),
                    Unary::Sin => map(x, $t::sin),
                    Unary::Cos => map(x, $t::cos),
                    // Rare ones in f64: one copy of each in the program, and correctly rounded in f32 almost always.
                    Unary::Tan => map(x, |v| f64::from(v).tan() as $t),
                    Unary::Asin => map(x, |v| f64::from(v).asin() as $t),
                    Unary::Acos => map(x, |v| f64::from(v).acos() as $t),
                    Unary::Atan => map(x, |v| f64::from(v).atan() as $t),
                    Unary::Sinh => map(x, |v| f64::from(v).sinh() as $t),
                    Unary::Cosh => map(x, |v| f64::from(v).cosh() as $t),
                    Unary::Asinh => map(x, |v| math::double::asinh(f64::from(v)) as $t),
                    Unary::Acosh => map(x, |v| f64::from(v).acosh() as $t),
                    Unary::Atanh => map(x, |v| f64::from(v).atanh() as $t),
                    Unary::Exp2 => map(x, |v| f64::from(v).exp2() as $t),
                    Unary::Expm1 => map(x, |v| f64::from(v).exp_m1() as $t),
                    Unary::Log2 => map(x, |v| f64::from(v).log2() as $t),
                    Unary::Log10 => map(x, |v| f64::from(v).log10() as $t),
                    Unary::Log1p => map(x, |v| f64::from(v).ln_1p() as $t),
                    Unary::Erfinv => map(x, |v| math::double::erfinv(f64::from(v)) as $t),
                    Unary::Tanh => run_best(OnEach(x, m::tanh)),
                    Unary::Erf => run_best(OnEach(x, m::erf)),
                    Unary::Floor => map(x, $t::floor),
                    Unary::Ceil => map(x, $t::ceil),
                    Unary::Round => map(x, $t::round_ties_even),
                    Unary::Trunc => map(x, $t::trunc),
                    Unary::Sigmoid => run_best(OnEach(x, m::sigmoid)),
                    Unary::Relu => run_best(OnEach(x, |v: $t| if v < 0.0 { 0.0 } else { v })),
                    Unary::Silu => run_best(OnEach(x, m::silu)),
                    Unary::Gelu => run_best(OnEach(x, m::gelu)),
                    Unary::GeluTanh => run_best(OnEach(x, m::gelu_tanh)),
                }
            }
            #[inline(never)]
            fn binary(op: Binary, a: &mut [$t], b: &[$t]) {
                match op {
                    Binary::Add => run_best(OnPairs(a, b, |a, b| a + b)),
                    Binary::Sub => run_best(OnPairs(a, b, |a, b| a - b)),
                    Binary::Mul => run_best(OnPairs(a, b, |a, b| a * b)),
                    Binary::Div => run_best(OnPairs(a, b, |a, b| a / b)),
                    Binary::Pow => zip(a, b, $t::powf),
                    Binary::Min => run_best(OnPairs(a, b, $t::smaller)),
                    Binary::Max => run_best(OnPairs(a, b, $t::larger)),
                    Binary::Atan2 => zip(a, b, |a, b| f64::from(a).atan2(f64::from(b)) as $t),
                    // Of the remainder towards zero, the other one where signs differ.
                    Binary::Remainder => zip(a, b, |a, b| {
                        let left = a % b;
                        if left != 0.0 && (left < 0.0) != (b < 0.0) { left + b } else { left }
                    }),
                    Binary::Fmod => zip(a, b, |a, b| a % b),
                    Binary::Hypot => zip(a, b, |a, b| f64::from(a).hypot(f64::from(b)) as $t),
                    Binary::Copysign => zip(a, b, $t::copysign),
                    // Inference lets only integers through.
                    Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr => {}
                }
            }
        }
    };
}
float!(f32, math::single, F32 f32, F16 f16, BF16 bf16);
float!(f64, math::double, F64 f64);

impl Wide for i64 {
    const ZERO: i64 = 0;
    const ONE: i64 = 1;
    const LOWEST: i64 = i64::MIN;
    const HIGHEST: i64 = i64::MAX;
    fn access(dtype: DType) -> Option<(Load<i64>, Store<i64>)> {
        match dtype {
            DType::I64 => Some((load::<i64>, store::<i64>)),
            DType::I32 => Some((load::<i32>, store::<i32>)),
            DType::U32 => Some((load::<u32>, store::<u32>)),
            DType::U8 => Some((load::<u8>, store::<u8>)),
            _ => None,
        }
    }
    fn from_f64(value: f64) -> i64 {
        value.round_ties_even() as i64
    }
    fn from_f64_as(value: f64, dtype: DType) -> i64 {
        let value = Self::from_f64(value);
        match dtype {
            DType::I32 => value.clamp(i32::MIN.into(), i32::MAX.into()),
            DType::U32 => value.clamp(0, u32::MAX.into()),
            DType::U8 => value.clamp(0, u8::MAX.into()),
            _ => value,
        }
    }
    fn parameter(value: f64) -> i64 {
        Self::from_f64(value)
    }
    fn to_f64(self) -> f64 {
        self as f64
    }
    fn is_nan(self) -> bool {
        false
    }
    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
    fn times(self, other: i64) -> i64 {
        self.wrapping_mul(other)
    }
    fn larger(self, other: i64) -> i64 {
        self.max(other)
    }
    fn smaller(self, other: i64) -> i64 {
        self.min(other)
    }
    #[inline(never)]
    fn unary(op: Unary, x: &mut [i64]) {
        match op {
            Unary::Neg => map(x, i64::wrapping_neg),
            Unary::Abs => map(x, i64::wrapping_abs),
            Unary::Sign => map(x, i64::signum),
            Unary::Sqr => map(x, |v| v.wrapping_mul(v)),
            Unary::Relu => map(x, |v| v.max(0)),
            // Rounding changes no integer; inference lets nothing else through.
            _ => {}
        }
    }
    #[inline(never)]
    fn binary(op: Binary, a: &mut [i64], b: &[i64]) {
        match op {
            Binary::Add => zip(a, b, i64::wrapping_add),
            Binary::Sub => zip(a, b, i64::wrapping_sub),
            Binary::Mul => zip(a, b, i64::wrapping_mul),
            // Zero divisors are refused before.
            Binary::Div => zip(a, b, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }),
            Binary::Pow => zip(a, b, power),
            Binary::Min => zip(a, b, Ord::min),
            Binary::Max => zip(a, b, Ord::max),
            Binary::Fmod => zip(a, b, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
            Binary::Remainder => zip(a, b, |a, b| {
                let left = if b == 0 { 0 } else { a.wrapping_rem(b) };
                if left != 0 && (left < 0) != (b < 0) { left + b } else { left }
            }),
            Binary::BitAnd => zip(a, b, |a, b| a & b),
            Binary::BitOr => zip(a, b, |a, b| a | b),
            Binary::BitXor => zip(a, b, |a, b| a ^ b),
            // Shifts by more bits than there are leave nothing, to the right but the sign.
            Binary::Shl => zip(a, b, |a, b| if (0..64).contains(&b) { a << b } else { 0 }),
            Binary::Shr => zip(a, b, |a, b| a >> if (0..64).contains(&b) { b } else { 63 }),
            // Inference lets nothing else through.
            Binary::Atan2 | Binary::Hypot | Binary::Copysign => {}
        }
    }
}

/// Wrapping; a negative power of anything but 1 and -1 is 0, as in PyTorch.
fn power(mut base: i64, mut exponent: i64) -> i64 {
    match base {
        1 => return 1,
        -1 => return if exponent % 2 == 0 { 1 } else { -1 },
        _ if exponent < 0 => return 0,
        _ => {}
    }
    let mut result = 1i64;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent /= 2;
    }
    result
}

/// Conversion as Rust's `as`: saturating, NaN to 0.
pub(super) trait CastTo<B>: Copy {
    fn cast(self) -> B;
}
macro_rules! cast {
    ($($a:ty => $($b:ty),*;)*) => { $(
        $(impl CastTo<$b> for $a {
            #[allow(clippy::unnecessary_cast)]
            fn cast(self) -> $b {
                self as $b
            }
        })*
        impl CastTo<f16> for $a {
            fn cast(self) -> f16 {
                f16::from_f32(self as f32)
            }
        }
        impl CastTo<bf16> for $a {
            fn cast(self) -> bf16 {
                bf16::from_f32(self as f32)
            }
        }
    )* };
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

/// Runs `$body` with `$w` as the type that a plain dtype is computed in: three copies of it, where [`with_num`] makes eight.
macro_rules! with_wide {
    ($dtype:expr, $op:expr, $w:ident => $body:expr) => {
        match $dtype {
            $crate::dtype::DType::F32 | $crate::dtype::DType::F16 | $crate::dtype::DType::BF16 => {
                type $w = f32;
                $body
            }
            $crate::dtype::DType::F64 => {
                type $w = f64;
                $body
            }
            dtype if dtype.is_int() => {
                type $w = i64;
                $body
            }
            other => Err($crate::backend::cpu::num::no_kernel($op, other)),
        }
    };
}
pub(super) use with_wide;

/// The error for a dtype that inference should not have let through.
pub(super) fn no_kernel(op: &'static str, dtype: DType) -> crate::error::Error {
    crate::error::Error::dtype(op, format!("the cpu has no kernel for {dtype}"))
}
