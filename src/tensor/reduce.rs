//! Reductions: over some dimensions or all.

use super::Tensor;
use crate::{
    error::{Error, Result},
    op::{Op, Reduce},
    shape::Shape,
};
use std::ops::RangeFull;

/// Which dimensions to reduce: one (`-1`), several (`[0, 2]`) or all (`..`). Negative ones count from the end.
pub trait Dims {
    /// Sorted indices of the dimensions.
    ///
    /// # Errors
    /// When one is out of range or repeats.
    fn indices(&self, op: &'static str, shape: &Shape) -> Result<Vec<usize>>;
}

impl Dims for isize {
    fn indices(&self, op: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        Ok(vec![shape.dim(op, *self)?])
    }
}
impl Dims for &[isize] {
    fn indices(&self, op: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        let mut dims = self.iter().map(|&d| shape.dim(op, d)).collect::<Result<Vec<_>>>()?;
        dims.sort_unstable();
        if dims.is_sorted_by(|a, b| a < b) {
            return Ok(dims);
        }
        Err(Error::argument(op, format!("dimensions {self:?} of {shape} repeat")))
    }
}
impl<const N: usize> Dims for [isize; N] {
    fn indices(&self, op: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        self.as_slice().indices(op, shape)
    }
}
impl Dims for RangeFull {
    fn indices(&self, _: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        Ok((0..shape.rank()).collect())
    }
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident $keep:ident $op:ident;)*) => {
        /// Reductions over the dimensions given; the `_keepdim` forms keep them as size 1.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            pub fn $name(&self, dims: impl Dims) -> Result<Tensor> {
                self.reduce(Reduce::$op, dims, false)
            }
            $(#[$doc])*
            pub fn $keep(&self, dims: impl Dims) -> Result<Tensor> {
                self.reduce(Reduce::$op, dims, true)
            }
        )* }
    };
}
reductions! {
    /// Sum; of integers in i64.
    sum sum_keepdim Sum;
    /// Mean, of floats; NaN of nothing.
    mean mean_keepdim Mean;
    /// Largest element; NaN if there is one.
    max max_keepdim Max;
    /// Smallest element; NaN if there is one.
    min min_keepdim Min;
    /// Product; of integers in i64.
    prod prod_keepdim Prod;
}

#[allow(clippy::missing_errors_doc)]
impl Tensor {
    fn reduce(&self, reduce: Reduce, dims: impl Dims, keep_dims: bool) -> Result<Tensor> {
        let dims = dims.indices(reduce.name(), self.shape())?;
        Self::apply(Op::Reduce { reduce, dims, keep_dims }, &[self])
    }
    fn arg_reduce(&self, max: bool, dim: isize, keep_dim: bool) -> Result<Tensor> {
        let dim = self.shape().dim(if max { "argmax" } else { "argmin" }, dim)?;
        Self::apply(Op::ArgReduce { max, dim, keep_dim }, &[self])
    }
    /// u32 index of the largest element along `dim`: the first of equals, NaN counts as largest.
    pub fn argmax(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(true, dim, false)
    }
    /// [`Tensor::argmax`], keeping `dim` as size 1.
    pub fn argmax_keepdim(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(true, dim, true)
    }
    /// u32 index of the smallest element along `dim`: the first of equals, NaN counts as smallest.
    pub fn argmin(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(false, dim, false)
    }
    /// [`Tensor::argmin`], keeping `dim` as size 1.
    pub fn argmin_keepdim(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(false, dim, true)
    }
    /// Running product along `dim`; of integers in i64.
    pub fn cumprod(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::CumProd { dim: self.shape().dim("cumprod", dim)? }, &[self])
    }
    /// Running sum along `dim`; of integers in i64.
    pub fn cumsum(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::CumSum { dim: self.shape().dim("cumsum", dim)? }, &[self])
    }
}
