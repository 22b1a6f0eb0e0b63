//! Functions of each element, and of the elements of two or three tensors with broadcasting.

use super::{
    Tensor,
    operators::{Operand, Value},
};
use crate::{
    dtype::DType,
    error::Result,
    op::{Binary, Compare, Op, Unary},
};

/// The example in an operation's documentation: its call on a tensor of these elements, and what it gives, exactly
/// (`=`, with the dtype) or nearly (`~`).
macro_rules! example {
    ($x:tt $(, $other:tt)?; $name:ident $argument:tt = $dtype:ident $expected:tt) => {
        example!(@ $x ($($other)?) concat!(
            "assert_eq!(x.", stringify!($name), "(", $argument, ")?.to_vec_sync::<", stringify!($dtype),
            ">()?, ", stringify!($expected), ");",
        ))
    };
    ($x:tt $(, $other:tt)?; $name:ident $argument:tt ~ $expected:tt) => {
        example!(@ $x ($($other)?) concat!(
            "let expected = Tensor::new(", stringify!($expected), ", &Device::cpu())?;\n",
            "assert!(x.", stringify!($name), "(", $argument, ")?.allclose_sync(&expected, 1e-6, 1e-9, true)?);",
        ))
    };
    (@ $x:tt ($($other:tt)?) $assertion:expr) => {
        concat!(
            "\n```\n# use votive::{Device, Tensor};\nlet x = Tensor::new(", stringify!($x), ", &Device::cpu())?;\n",
            $("let y = Tensor::new(", stringify!($other), ", &Device::cpu())?;\n",)?
            $assertion, "\n# Ok::<(), votive::Error>(())\n```",
        )
    };
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $op:ident, $x:tt $is:tt $($dtype:ident)? [$($expected:tt)*];)*) => {
        /// Functions of one operand. Shape and dtype stay; errors say which dtypes an operation does not take.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            #[doc = example!($x; $name "" $is $($dtype)? [$($expected)*])]
            pub fn $name(&self) -> Result<Tensor> {
                Self::apply(Op::Unary(Unary::$op), &[self])
            }
        )* }
    };
}
unary! {
    /// `-x`, of signed numbers.
    neg => Neg, [1f32, -2.0] = f32 [-1.0, 2.0];
    /// Absolute value.
    abs => Abs, [1f32, -2.0] = f32 [1.0, 2.0];
    /// -1, 0 or 1.
    sign => Sign, [5f32, 0.0, -2.0] = f32 [1.0, 0.0, -1.0];
    /// `e^x`, of floats.
    exp => Exp, [0f32, 1.0, -1.0] ~ [1f32, 2.7182818, 0.36787944];
    /// Natural logarithm, of floats.
    log => Log, [1f32, 2.0, 10.0] ~ [0f32, 0.6931472, 2.3025851];
    /// Square root, of floats.
    sqrt => Sqrt, [4f32, 0.25, -1.0] ~ [2f32, 0.5, f32::NAN];
    /// `1 / sqrt(x)`, of floats.
    rsqrt => Rsqrt, [4f32, 2.0] ~ [0.5f32, 0.70710678];
    /// `1 / x`, of floats.
    recip => Recip, [4f32, -2.0] = f32 [0.25, -0.5];
    /// `x * x`.
    sqr => Sqr, [3f32, -2.0] = f32 [9.0, 4.0];
    /// Sine of radians, of floats.
    sin => Sin, [0f32, 0.5, -0.5] ~ [0f32, 0.47942554, -0.47942554];
    /// Cosine of radians, of floats.
    cos => Cos, [0f32, 0.5, -0.5] ~ [1f32, 0.87758256, 0.87758256];
    /// Tangent of radians, of floats.
    tan => Tan, [0f32, 0.5, -0.5] ~ [0f32, 0.54630249, -0.54630249];
    /// Arc sine in radians, of floats; NaN outside -1 to 1.
    asin => Asin, [0f32, 0.5, 2.0] ~ [0f32, 0.52359878, f32::NAN];
    /// Arc cosine in radians, of floats; NaN outside -1 to 1.
    acos => Acos, [1f32, 0.5, 2.0] ~ [0f32, 1.0471976, f32::NAN];
    /// Arc tangent in radians, of floats.
    atan => Atan, [0f32, 0.5, -0.5] ~ [0f32, 0.46364761, -0.46364761];
    /// Hyperbolic sine, of floats.
    sinh => Sinh, [0f32, 0.5, -0.5] ~ [0f32, 0.52109531, -0.52109531];
    /// Hyperbolic cosine, of floats.
    cosh => Cosh, [0f32, 0.5, -0.5] ~ [1f32, 1.127626, 1.127626];
    /// Hyperbolic tangent, of floats.
    tanh => Tanh, [0f32, 0.5, -0.5] ~ [0f32, 0.46211716, -0.46211716];
    /// Inverse hyperbolic sine, of floats.
    asinh => Asinh, [0f32, 0.5, -0.5] ~ [0f32, 0.48121183, -0.48121183];
    /// Inverse hyperbolic cosine, of floats; NaN below 1.
    acosh => Acosh, [1f32, 2.0, 0.0] ~ [0f32, 1.3169579, f32::NAN];
    /// Inverse hyperbolic tangent, of floats; NaN outside -1 to 1.
    atanh => Atanh, [0f32, 0.5, 2.0] ~ [0f32, 0.54930614, f32::NAN];
    /// `2^x`, of floats.
    exp2 => Exp2, [3f32, -1.0, 0.5] ~ [8f32, 0.5, 1.4142136];
    /// `e^x - 1`, accurate near 0, of floats.
    expm1 => Expm1, [0f32, 0.5, 1e-7] ~ [0f32, 0.64872127, 1e-7];
    /// Logarithm to base 2, of floats.
    log2 => Log2, [8f32, 0.5, 3.0] ~ [3f32, -1.0, 1.5849625];
    /// Logarithm to base 10, of floats.
    log10 => Log10, [100f32, 1.0, 2.0] ~ [2f32, 0.0, 0.30103];
    /// `log(1 + x)`, accurate near 0, of floats.
    log1p => Log1p, [0f32, 0.5, 1e-7] ~ [0f32, 0.40546511, 1e-7];
    /// The error function, of floats.
    erf => Erf, [0f32, 0.5, -0.5] ~ [0f32, 0.52049988, -0.52049988];
    /// The inverse of the error function, of floats; NaN outside -1 to 1.
    erfinv => Erfinv, [0.5f32, 0.9, 2.0] ~ [0.47693628f32, 1.1630872, f32::NAN];
    /// Towards minus infinity.
    floor => Floor, [1.5f32, -1.5] = f32 [1.0, -2.0];
    /// Towards plus infinity.
    ceil => Ceil, [1.5f32, -1.5] = f32 [2.0, -1.0];
    /// To the nearest integer, halves to even, as PyTorch.
    round => Round, [0.5f32, 1.5, -2.6] = f32 [0.0, 2.0, -3.0];
    /// Towards zero.
    trunc => Trunc, [1.5f32, -1.5] = f32 [1.0, -1.0];
    /// `1 / (1 + e^-x)`, of floats.
    sigmoid => Sigmoid, [-1f32, 0.0, 1.0] ~ [0.26894142f32, 0.5, 0.73105858];
    /// `max(x, 0)`.
    relu => Relu, [-1f32, 2.0] = f32 [0.0, 2.0];
    /// `x * sigmoid(x)`, of floats.
    silu => Silu, [-1f32, 0.0, 1.0] ~ [-0.26894142f32, 0.0, 0.73105858];
    /// GELU by the error function, of floats.
    gelu => Gelu, [-1f32, 0.0, 1.0] ~ [-0.15865525f32, 0.0, 0.84134475];
    /// GELU by the tanh approximation, of floats.
    gelu_tanh => GeluTanh, [-1f32, 0.0, 1.0] ~ [-0.15880801f32, 0.0, 0.84119199];
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident => $op:expr, $x:tt, $y:tt $is:tt $($dtype:ident)? [$($expected:tt)*];)*) => {
        /// Functions of two operands of one dtype, broadcast as in NumPy.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            #[doc = example!($x, $y; $name "&y" $is $($dtype)? [$($expected)*])]
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                self.broadcast_apply($op, other)
            }
        )* }
    };
}
binary! {
    /// `a + b`
    add => Op::Binary(Binary::Add), [1f32, 2.0], [3f32, 0.5] = f32 [4.0, 2.5];
    /// `a - b`
    sub => Op::Binary(Binary::Sub), [1f32, 2.0], [3f32, 0.5] = f32 [-2.0, 1.5];
    /// `a * b`
    mul => Op::Binary(Binary::Mul), [1f32, 2.0], [3f32, 0.5] = f32 [3.0, 1.0];
    /// `a / b`; of integers towards zero, an error when a divisor is zero.
    div => Op::Binary(Binary::Div), [7i32, -7], [2i32] = i32 [3, -3];
    /// `a ^ b`; of integers, negative exponents give what rounding towards zero gives.
    pow => Op::Binary(Binary::Pow), [2f32, 3.0], [3f32, -1.0] ~ [8f32, 0.33333333];
    /// The smaller; NaN if either is.
    minimum => Op::Binary(Binary::Min), [1f32, 2.0], [3f32, 0.5] = f32 [1.0, 0.5];
    /// The larger; NaN if either is.
    maximum => Op::Binary(Binary::Max), [1f32, 2.0], [3f32, 0.5] = f32 [3.0, 2.0];
    /// The angle in radians of the point `(other, self)`, -π to π, of floats.
    atan2 => Op::Binary(Binary::Atan2), [1f32, 1.0, -1.0], [1f32, -1.0, 0.0] ~ [0.78539816f32, 2.3561945, -1.5707963];
    /// `a - b * floor(a / b)`: what division leaves, with the sign of `b` (Python's `%`); of integers an error when a
    /// divisor is zero.
    remainder => Op::Binary(Binary::Remainder), [7f32, -7.0, 7.0], [3f32, 3.0, -3.0] = f32 [1.0, 2.0, -2.0];
    /// `a - b * trunc(a / b)`: what division leaves, with the sign of `a` (C's `fmod`); of integers an error when a
    /// divisor is zero.
    fmod => Op::Binary(Binary::Fmod), [7f32, -7.0, 7.0], [3f32, 3.0, -3.0] = f32 [1.0, -1.0, 1.0];
    /// `sqrt(a² + b²)` without overflow on the way, of floats.
    hypot => Op::Binary(Binary::Hypot), [3f32, 5.0], [4f32, 12.0] ~ [5f32, 13.0];
    /// `a` with the sign of `b` (that of -0.0 too), of floats.
    copysign => Op::Binary(Binary::Copysign), [1f32, -2.0], [-0.0f32, 3.0] = f32 [-1.0, 2.0];
    /// The bits that both have, of integers.
    bitwise_and => Op::Binary(Binary::BitAnd), [12i32, -1], [10i32, 7] = i32 [8, 7];
    /// The bits that one has, or both; of integers.
    bitwise_or => Op::Binary(Binary::BitOr), [12i32, -1], [10i32, 7] = i32 [14, -1];
    /// The bits that one has, but not both; of integers.
    bitwise_xor => Op::Binary(Binary::BitXor), [12i32, -1], [10i32, 7] = i32 [6, -8];
    /// The bits of integers moved up by as many places: `a * 2^b`.
    bitwise_left_shift => Op::Binary(Binary::Shl), [3i32, -1], [2i32, 1] = i32 [12, -2];
    /// The bits of integers moved down by as many places: `floor(a / 2^b)`.
    bitwise_right_shift => Op::Binary(Binary::Shr), [12i32, -5], [2i32, 1] = i32 [3, -3];
    /// 1 where `a = b`, as u8.
    eq => Op::Compare(Compare::Eq), [1f32, 2.0, 3.0], [2f32] = u8 [0, 1, 0];
    /// 1 where `a ≠ b`, as u8.
    ne => Op::Compare(Compare::Ne), [1f32, 2.0, 3.0], [2f32] = u8 [1, 0, 1];
    /// 1 where `a < b`, as u8.
    lt => Op::Compare(Compare::Lt), [1f32, 2.0, 3.0], [2f32] = u8 [1, 0, 0];
    /// 1 where `a ≤ b`, as u8.
    le => Op::Compare(Compare::Le), [1f32, 2.0, 3.0], [2f32] = u8 [1, 1, 0];
    /// 1 where `a > b`, as u8.
    gt => Op::Compare(Compare::Gt), [1f32, 2.0, 3.0], [2f32] = u8 [0, 0, 1];
    /// 1 where `a ≥ b`, as u8.
    ge => Op::Compare(Compare::Ge), [1f32, 2.0, 3.0], [2f32] = u8 [0, 1, 1];
}

macro_rules! with_scalar {
    ($($(#[$doc:meta])* $name:ident => $method:ident, $x:tt, $value:tt $is:tt $($dtype:ident)? [$($expected:tt)*];)*) => {
        /// Operations with one number, converted to this tensor's dtype.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            #[doc = example!($x; $name $value $is $($dtype)? [$($expected)*])]
            pub fn $name(&self, value: f64) -> Result<Tensor> {
                self.$method(&self.scalar_for(stringify!($method), value)?)
            }
        )* }
    };
}
with_scalar! {
    /// `x ^ value`
    pow_scalar => pow, [2f32, 3.0], 2.0 ~ [4f32, 9.0];
    /// [`Tensor::remainder`] by one number.
    remainder_scalar => remainder, [7f32, -7.0], 3.0 = f32 [1.0, 2.0];
    /// [`Tensor::fmod`] by one number.
    fmod_scalar => fmod, [7f32, -7.0], 3.0 = f32 [1.0, -1.0];
    /// `min(x, value)`
    minimum_scalar => minimum, [1f32, 3.0], 2.0 = f32 [1.0, 2.0];
    /// `max(x, value)`
    maximum_scalar => maximum, [1f32, 3.0], 2.0 = f32 [2.0, 3.0];
    /// 1 where `x = value`, as u8.
    eq_scalar => eq, [1f32, 2.0, 3.0], 2.0 = u8 [0, 1, 0];
    /// 1 where `x ≠ value`, as u8.
    ne_scalar => ne, [1f32, 2.0, 3.0], 2.0 = u8 [1, 0, 1];
    /// 1 where `x < value`, as u8.
    lt_scalar => lt, [1f32, 2.0, 3.0], 2.0 = u8 [1, 0, 0];
    /// 1 where `x ≤ value`, as u8.
    le_scalar => le, [1f32, 2.0, 3.0], 2.0 = u8 [1, 1, 0];
    /// 1 where `x > value`, as u8.
    gt_scalar => gt, [1f32, 2.0, 3.0], 2.0 = u8 [0, 0, 1];
    /// 1 where `x ≥ value`, as u8.
    ge_scalar => ge, [1f32, 2.0, 3.0], 2.0 = u8 [0, 1, 1];
}

#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// `x * mul + add`; integers with rounded parameters.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.affine(2.0, 1.0)?.to_vec_sync::<f32>()?, [3.0, 11.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn affine(&self, mul: f64, add: f64) -> Result<Tensor> {
        Self::apply(Op::Affine { mul, add }, &[self])
    }
    /// `x + value`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.add_scalar(2.0)?.to_vec_sync::<f32>()?, [3.0, 7.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn add_scalar(&self, value: f64) -> Result<Tensor> {
        self.affine(1.0, value)
    }
    /// `x - value`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.sub_scalar(2.0)?.to_vec_sync::<f32>()?, [-1.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn sub_scalar(&self, value: f64) -> Result<Tensor> {
        self.affine(1.0, -value)
    }
    /// `x * value`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.mul_scalar(2.0)?.to_vec_sync::<f32>()?, [2.0, 10.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn mul_scalar(&self, value: f64) -> Result<Tensor> {
        self.affine(value, 0.0)
    }
    /// `x / value`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.div_scalar(2.0)?.to_vec_sync::<f32>()?, [0.5, 2.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn div_scalar(&self, value: f64) -> Result<Tensor> {
        self.div(&self.scalar_for("div", value)?)
    }
    /// Limited to `min..=max`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.clamp(2.0, 4.0)?.to_vec_sync::<f32>()?, [2.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn clamp(&self, min: f64, max: f64) -> Result<Tensor> {
        Self::apply(Op::Clamp { min, max }, &[self])
    }
    /// With this as the u8 condition: `a` where it is not 0, `b` elsewhere; all three broadcast. A number takes the dtype
    /// of the tensor beside it; two numbers make f32.
    ///
    /// ```
    /// use votive::{Device, Tensor};
    /// let x = Tensor::new([-1.0f32, 2.0], &Device::cpu())?;
    /// assert_eq!(x.gt_scalar(0.0)?.where_cond(&x, 0.5)?.to_vec_sync::<f32>()?, [0.5, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn where_cond(&self, a: impl Operand, b: impl Operand) -> Result<Tensor> {
        let (a, b) = match (a.value()?, b.value()?) {
            (Value::Tensor(a), b) => (a.clone(), b.beside(&a)?),
            (a, Value::Tensor(b)) => (a.beside(&b)?, b),
            (Value::Number(a), Value::Number(b)) => {
                let number = |v: f64| Self::full(v, (), DType::F32, self.device());
                (number(a)?, number(b)?)
            }
        };
        let shape = self.shape().broadcast(a.shape(), "where_cond")?.broadcast(b.shape(), "where_cond")?;
        let [c, a, b] = [self, &a, &b].map(|t| t.broadcast_to(&shape));
        Self::apply(Op::Where, &[&c?, &a?, &b?])
    }
    /// Runs an operation of two operands after broadcasting them to each other.
    fn broadcast_apply(&self, op: Op, other: &Tensor) -> Result<Tensor> {
        if self.shape() == other.shape() {
            return Self::apply(op, &[self, other]);
        }
        let shape = self.shape().broadcast(other.shape(), op.name())?;
        Self::apply(op, &[&self.broadcast_to(&shape)?, &other.broadcast_to(&shape)?])
    }
}
