//! Shapes, dimension arguments that may be negative, and broadcasting.

use crate::error::{Error, Result};
use std::fmt;

/// In a shape given to `reshape`: the one size to be found from the number of elements (PyTorch's -1).
pub const HOLE: usize = usize::MAX;

/// The sizes of a tensor's dimensions, outermost first. Zero-dimensional means a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Sizes, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }
    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }
    /// Number of elements; 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }
    /// Number of elements, or `None` when the product overflows (sizes read from a file).
    pub fn checked_elements(&self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |a, &d| a.checked_mul(d))
    }
    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1usize; self.rank()];
        for i in (1..self.rank()).rev() {
            // Beside a size of 0 the others may be anything; nothing is read by such strides.
            strides[i - 1] = strides[i].saturating_mul(self.0[i]);
        }
        strides
    }
    /// A dimension argument as an index: negative counts from the end, as in PyTorch.
    pub fn dim(&self, op: &'static str, dim: isize) -> Result<usize> {
        let rank = self.rank() as isize;
        let at = if dim < 0 { dim + rank } else { dim };
        if (0..rank).contains(&at) {
            Ok(at as usize)
        } else {
            Err(Error::argument(op, format!("dimension {dim} is out of range for shape {self}")))
        }
    }
    /// The shape two operands broadcast to (NumPy's rule).
    pub fn broadcast(&self, other: &Shape, op: &'static str) -> Result<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Shape, i: usize| if i + s.rank() >= rank { s.0[i + s.rank() - rank] } else { 1 };
        let mut dims = Vec::with_capacity(rank);
        for i in 0..rank {
            dims.push(match (at(self, i), at(other, i)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                (a, b) => {
                    return Err(Error::shapes(op, self, other, format!("sizes {a} and {b} do not broadcast")));
                }
            });
        }
        Ok(Shape(dims))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, &size) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            match size {
                HOLE => f.write_str("_")?,
                size => write!(f, "{size}")?,
            }
        }
        f.write_str("]")
    }
}
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl From<Vec<usize>> for Shape {
    fn from(v: Vec<usize>) -> Self {
        Self(v)
    }
}
impl From<&[usize]> for Shape {
    fn from(v: &[usize]) -> Self {
        Self(v.to_vec())
    }
}
impl<const N: usize> From<[usize; N]> for Shape {
    fn from(v: [usize; N]) -> Self {
        Self(v.to_vec())
    }
}
impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(v: &[usize; N]) -> Self {
        Self(v.to_vec())
    }
}
impl From<&Shape> for Shape {
    fn from(v: &Shape) -> Self {
        v.clone()
    }
}
impl From<usize> for Shape {
    fn from(v: usize) -> Self {
        Self(vec![v])
    }
}
impl From<()> for Shape {
    fn from(_: ()) -> Self {
        Self(vec![])
    }
}
