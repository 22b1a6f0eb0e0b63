//! `&a + &b`, `&a * 2.0`, `-&a`: operators give a `Result`, since shapes may not fit.

use super::Tensor;
use crate::error::Result;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The right side of an operator: a tensor, by reference or value, or a number.
pub trait Operand {
    /// Calls the method for tensors or the one for numbers.
    ///
    /// # Errors
    /// As the method called.
    fn with(
        self,
        left: &Tensor,
        tensor: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
        number: impl Fn(&Tensor, f64) -> Result<Tensor>,
    ) -> Result<Tensor>;
}

macro_rules! operand {
    ($($t:ty),*) => { $(
        impl Operand for $t {
            fn with(
                self,
                left: &Tensor,
                tensor: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
                _: impl Fn(&Tensor, f64) -> Result<Tensor>,
            ) -> Result<Tensor> {
                tensor(left, &self)
            }
        }
    )* };
}
operand!(&Tensor, Tensor);

impl Operand for f64 {
    fn with(
        self,
        left: &Tensor,
        _: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
        number: impl Fn(&Tensor, f64) -> Result<Tensor>,
    ) -> Result<Tensor> {
        number(left, self)
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident $number:ident),*) => { $(
        impl<R: Operand> $trait<R> for &Tensor {
            type Output = Result<Tensor>;
            fn $method(self, right: R) -> Result<Tensor> {
                right.with(self, Tensor::$method, Tensor::$number)
            }
        }
        impl<R: Operand> $trait<R> for Tensor {
            type Output = Result<Tensor>;
            fn $method(self, right: R) -> Result<Tensor> {
                right.with(&self, Tensor::$method, Tensor::$number)
            }
        }
    )* };
}
operator!(Add add add_scalar, Sub sub sub_scalar, Mul mul mul_scalar, Div div div_scalar);

impl Neg for &Tensor {
    type Output = Result<Tensor>;
    fn neg(self) -> Result<Tensor> {
        Tensor::neg(self)
    }
}
