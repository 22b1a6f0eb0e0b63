//! Functions of each element, and of the elements of two or three tensors with broadcasting.

use super::Tensor;
use crate::{
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
    /// Hyperbolic tangent, of floats.
    tanh => Tanh;
    /// The error function, of floats.
    erf => Erf;
    /// Towards minus infinity.
    floor => Floor;
    /// Towards plus infinity.
    ceil => Ceil;
    /// To the nearest integer, halves to even, as PyTorch.
    round => Round;
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
                self.$method(&self.scalar_like(value)?)
            }
        )* }
    };
}
with_scalar! {
    /// `x ^ value`
    pow_scalar => pow;
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
        self.div(&self.scalar_like(value)?)
    }
    /// Limited to `min..=max`.
    pub fn clamp(&self, min: f64, max: f64) -> Result<Tensor> {
        Self::apply(Op::Clamp { min, max }, &[self])
    }
    /// With this as the u8 condition: `a` where it is not 0, `b` elsewhere; all three broadcast.
    pub fn where_cond(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let shape = self.shape().broadcast(a.shape(), "where_cond")?.broadcast(b.shape(), "where_cond")?;
        let [c, a, b] = [self, a, b].map(|t| t.broadcast_to(&shape));
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
