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

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {
        /// Functions of one operand. Shape and dtype stay; errors say which dtypes an operation does not take.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            pub fn $name(&self) -> Result<Tensor> {
                Self::apply(Op::Unary(Unary::$op), &[self])
            }
        )* }
    };
}
unary! {
    /// `-x`, of signed numbers.
    neg => Neg;
    /// Absolute value.
    abs => Abs;
    /// -1, 0 or 1.
    sign => Sign;
    /// `e^x`, of floats.
    exp => Exp;
    /// Natural logarithm, of floats.
    log => Log;
    /// Square root, of floats.
    sqrt => Sqrt;
    /// `1 / sqrt(x)`, of floats.
    rsqrt => Rsqrt;
    /// `1 / x`, of floats.
    recip => Recip;
    /// `x * x`.
    sqr => Sqr;
    /// Sine of radians, of floats.
    sin => Sin;
    /// Cosine of radians, of floats.
    cos => Cos;
    /// Tangent of radians, of floats.
    tan => Tan;
    /// Arc sine in radians, of floats; NaN outside -1 to 1.
    asin => Asin;
    /// Arc cosine in radians, of floats; NaN outside -1 to 1.
    acos => Acos;
    /// Arc tangent in radians, of floats.
    atan => Atan;
    /// Hyperbolic sine, of floats.
    sinh => Sinh;
    /// Hyperbolic cosine, of floats.
    cosh => Cosh;
    /// Hyperbolic tangent, of floats.
    tanh => Tanh;
    /// Inverse hyperbolic sine, of floats.
    asinh => Asinh;
    /// Inverse hyperbolic cosine, of floats; NaN below 1.
    acosh => Acosh;
    /// Inverse hyperbolic tangent, of floats; NaN outside -1 to 1.
    atanh => Atanh;
    /// `2^x`, of floats.
    exp2 => Exp2;
    /// `e^x - 1`, accurate near 0, of floats.
    expm1 => Expm1;
    /// Logarithm to base 2, of floats.
    log2 => Log2;
    /// Logarithm to base 10, of floats.
    log10 => Log10;
    /// `log(1 + x)`, accurate near 0, of floats.
    log1p => Log1p;
    /// The error function, of floats.
    erf => Erf;
    /// The inverse of the error function, of floats; NaN outside -1 to 1.
    erfinv => Erfinv;
    /// Towards minus infinity.
    floor => Floor;
    /// Towards plus infinity.
    ceil => Ceil;
    /// To the nearest integer, halves to even, as PyTorch.
    round => Round;
    /// Towards zero.
    trunc => Trunc;
    /// `1 / (1 + e^-x)`, of floats.
    sigmoid => Sigmoid;
    /// `max(x, 0)`.
    relu => Relu;
    /// `x * sigmoid(x)`, of floats.
    silu => Silu;
    /// GELU by the error function, of floats.
    gelu => Gelu;
    /// GELU by the tanh approximation, of floats.
    gelu_tanh => GeluTanh;
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident => $op:expr;)*) => {
        /// Functions of two operands of one dtype, broadcast as in NumPy.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                self.broadcast_apply($op, other)
            }
        )* }
    };
}
binary! {
    /// `a + b`
    add => Op::Binary(Binary::Add);
    /// `a - b`
    sub => Op::Binary(Binary::Sub);
    /// `a * b`
    mul => Op::Binary(Binary::Mul);
    /// `a / b`; of integers towards zero, an error when a divisor is zero.
    div => Op::Binary(Binary::Div);
    /// `a ^ b`; of integers, negative exponents give what rounding towards zero gives.
    pow => Op::Binary(Binary::Pow);
    /// The smaller; NaN if either is.
    minimum => Op::Binary(Binary::Min);
    /// The larger; NaN if either is.
    maximum => Op::Binary(Binary::Max);
    /// The angle in radians of the point `(other, self)`, -π to π, of floats.
    atan2 => Op::Binary(Binary::Atan2);
    /// `a - b * floor(a / b)`: what division leaves, with the sign of `b` (Python's `%`); of integers an error when a
    /// divisor is zero.
    remainder => Op::Binary(Binary::Remainder);
    /// `a - b * trunc(a / b)`: what division leaves, with the sign of `a` (C's `fmod`); of integers an error when a
    /// divisor is zero.
    fmod => Op::Binary(Binary::Fmod);
    /// `sqrt(a² + b²)` without overflow on the way, of floats.
    hypot => Op::Binary(Binary::Hypot);
    /// `a` with the sign of `b` (that of -0.0 too), of floats.
    copysign => Op::Binary(Binary::Copysign);
    /// The bits that both have, of integers.
    bitwise_and => Op::Binary(Binary::BitAnd);
    /// The bits that one has, or both; of integers.
    bitwise_or => Op::Binary(Binary::BitOr);
    /// The bits that one has, but not both; of integers.
    bitwise_xor => Op::Binary(Binary::BitXor);
    /// The bits of integers moved up by as many places: `a * 2^b`.
    bitwise_left_shift => Op::Binary(Binary::Shl);
    /// The bits of integers moved down by as many places: `floor(a / 2^b)`.
    bitwise_right_shift => Op::Binary(Binary::Shr);
    /// 1 where `a = b`, as u8.
    eq => Op::Compare(Compare::Eq);
    /// 1 where `a ≠ b`, as u8.
    ne => Op::Compare(Compare::Ne);
    /// 1 where `a < b`, as u8.
    lt => Op::Compare(Compare::Lt);
    /// 1 where `a ≤ b`, as u8.
    le => Op::Compare(Compare::Le);
    /// 1 where `a > b`, as u8.
    gt => Op::Compare(Compare::Gt);
    /// 1 where `a ≥ b`, as u8.
    ge => Op::Compare(Compare::Ge);
}

macro_rules! with_scalar {
    ($($(#[$doc:meta])* $name:ident => $method:ident;)*) => {
        /// Operations with one number, converted to this tensor's dtype.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            pub fn $name(&self, value: f64) -> Result<Tensor> {
                self.$method(&self.scalar_for(stringify!($method), value)?)
            }
        )* }
    };
}
with_scalar! {
    /// `x ^ value`
    pow_scalar => pow;
    /// [`Tensor::remainder`] by one number.
    remainder_scalar => remainder;
    /// [`Tensor::fmod`] by one number.
    fmod_scalar => fmod;
    /// `min(x, value)`
    minimum_scalar => minimum;
    /// `max(x, value)`
    maximum_scalar => maximum;
    /// 1 where `x = value`, as u8.
    eq_scalar => eq;
    /// 1 where `x ≠ value`, as u8.
    ne_scalar => ne;
    /// 1 where `x < value`, as u8.
    lt_scalar => lt;
    /// 1 where `x ≤ value`, as u8.
    le_scalar => le;
    /// 1 where `x > value`, as u8.
    gt_scalar => gt;
    /// 1 where `x ≥ value`, as u8.
    ge_scalar => ge;
}

#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// `x * mul + add`; integers with rounded parameters.
    pub fn affine(&self, mul: f64, add: f64) -> Result<Tensor> {
        Self::apply(Op::Affine { mul, add }, &[self])
    }
    /// `x + value`
    pub fn add_scalar(&self, value: f64) -> Result<Tensor> {
        self.affine(1.0, value)
    }
    /// `x - value`
    pub fn sub_scalar(&self, value: f64) -> Result<Tensor> {
        self.affine(1.0, -value)
    }
    /// `x * value`
    pub fn mul_scalar(&self, value: f64) -> Result<Tensor> {
        self.affine(value, 0.0)
    }
    /// `x / value`
    pub fn div_scalar(&self, value: f64) -> Result<Tensor> {
        self.div(&self.scalar_for("div", value)?)
    }
    /// Limited to `min..=max`.
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
