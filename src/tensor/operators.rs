//! `&a + &b`, `2.0 * &a`, `1 - a`, `-&a`: operators give a `Result`, since shapes may not fit.

use super::Tensor;
use crate::error::Result;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// One side of an operator, or an argument that may be a tensor or a number.
#[derive(Clone, Debug)]
pub enum Value {
    /// A tensor.
    Tensor(Tensor),
    /// A number, which takes the dtype of the other side.
    Number(f64),
}

/// What can stand beside a tensor: a tensor, by reference or value, the `Result` of another operator, or a number.
///
/// ```
/// use votive::{Device, Tensor};
/// let (a, b) = (Tensor::new([1.0f32, 2.0], &Device::cpu())?, Tensor::new([3.0f32, 5.0], &Device::cpu())?);
/// let c = &a / (&b - &a); // the right side may be a `Result`
/// assert_eq!((1.0 - (2 * c?)?)?.to_vec_sync::<f32>()?, [0.0, 1.0 - 4.0 / 3.0]);
/// # Ok::<(), votive::Error>(())
/// ```
pub trait Operand {
    /// The tensor or number.
    ///
    /// # Errors
    /// When the operand is the result of an operator that failed.
    fn value(self) -> Result<Value>;
}

impl Operand for Value {
    fn value(self) -> Result<Value> {
        Ok(self)
    }
}
impl Operand for Tensor {
    fn value(self) -> Result<Value> {
        Ok(Value::Tensor(self))
    }
}
impl Operand for &Tensor {
    fn value(self) -> Result<Value> {
        Ok(Value::Tensor(self.clone()))
    }
}
impl Operand for &&Tensor {
    fn value(self) -> Result<Value> {
        Ok(Value::Tensor((*self).clone()))
    }
}
impl Operand for Result<Tensor> {
    fn value(self) -> Result<Value> {
        self.map(Value::Tensor)
    }
}

/// Operators whose left side is a tensor.
macro_rules! right {
    ($($trait:ident $method:ident $number:ident),*) => { $(
        impl<R: Operand> $trait<R> for &Tensor {
            type Output = Result<Tensor>;
            fn $method(self, right: R) -> Result<Tensor> {
                match right.value()? {
                    Value::Tensor(right) => Tensor::$method(self, &right),
                    Value::Number(right) => self.$number(right),
                }
            }
        }
        impl<R: Operand> $trait<R> for Tensor {
            type Output = Result<Tensor>;
            fn $method(self, right: R) -> Result<Tensor> {
                $trait::$method(&self, right)
            }
        }
    )* };
}
right!(Add add add_scalar, Sub sub sub_scalar, Mul mul mul_scalar, Div div div_scalar);

macro_rules! number {
    ($($number:ty),*) => { $(
        impl Operand for $number {
            #[allow(clippy::unnecessary_cast)]
            fn value(self) -> Result<Value> {
                Ok(Value::Number(self as f64))
            }
        }
    )* };
}
number!(f64, f32, i64, i32, u32, usize);

/// Operators whose left side is a number. Of one float and one integer type only: of more, the type of `2.0 * x` could not be
/// inferred.
macro_rules! left {
    ($($trait:ident $method:ident |$x:ident, $tensor:ident| $result:expr;)*) => { $(
        left!(@ f64, $trait $method |$x, $tensor| $result);
        left!(@ i32, $trait $method |$x, $tensor| $result);
    )* };
    (@ $number:ty, $trait:ident $method:ident |$x:ident, $tensor:ident| $result:expr) => {
        impl $trait<&Tensor> for $number {
            type Output = Result<Tensor>;
            fn $method(self, $tensor: &Tensor) -> Result<Tensor> {
                let $x = f64::from(self);
                $result
            }
        }
        impl $trait<Tensor> for $number {
            type Output = Result<Tensor>;
            fn $method(self, right: Tensor) -> Result<Tensor> {
                $trait::$method(self, &right)
            }
        }
    };
}
left! {
    Add add |x, t| t.add_scalar(x);
    Sub sub |x, t| t.affine(-1.0, x);
    Mul mul |x, t| t.mul_scalar(x);
    Div div |x, t| t.scalar_like(x)?.div(t);
}

impl Neg for &Tensor {
    type Output = Result<Tensor>;
    fn neg(self) -> Result<Tensor> {
        Tensor::neg(self)
    }
}
impl Neg for Tensor {
    type Output = Result<Tensor>;
    fn neg(self) -> Result<Tensor> {
        Tensor::neg(&self)
    }
}

impl Value {
    /// As a tensor that broadcasts against `like`, in its dtype.
    pub(super) fn beside(self, like: &Tensor) -> Result<Tensor> {
        match self {
            Self::Tensor(tensor) => Ok(tensor),
            Self::Number(number) => like.scalar_like(number),
        }
    }
}
