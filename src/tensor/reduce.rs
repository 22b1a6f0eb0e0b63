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

/// The example of a reduction of two rows, which gives `a` and `b`.
macro_rules! example {
    ($name:ident, flat, $a:literal, $b:literal) => {
        example!(concat!("assert_eq!(x.", stringify!($name), "(1)?.to_vec_sync::<f32>()?, [", $a, ", ", $b, "]);"))
    };
    ($name:ident, kept, $a:literal, $b:literal) => {
        example!(concat!("assert_eq!(x.", stringify!($name), "(1)?.to_vec2_sync::<f32>()?, [[", $a, "], [", $b, "]]);"))
    };
    ($assertion:expr) => {
        concat!(
            "\n```\n# use votive::{Device, Tensor};\n",
            "let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 5.0]], &Device::cpu())?;\n",
            $assertion,
            "\n# Ok::<(), votive::Error>(())\n```",
        )
    };
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident $keep:ident $op:ident, $a:literal $b:literal;)*) => {
        /// Reductions over the dimensions given; the `_keepdim` forms keep them as size 1.
        #[allow(clippy::missing_errors_doc)]
        impl Tensor { $(
            $(#[$doc])*
            #[doc = example!($name, flat, $a, $b)]
            pub fn $name(&self, dims: impl Dims) -> Result<Tensor> {
                self.reduce(Reduce::$op, dims, false)
            }
            $(#[$doc])*
            #[doc = example!($keep, kept, $a, $b)]
            pub fn $keep(&self, dims: impl Dims) -> Result<Tensor> {
                self.reduce(Reduce::$op, dims, true)
            }
        )* }
    };
}
reductions! {
    /// Sum; of integers in i64.
    sum sum_keepdim Sum, 9.0 12.0;
    /// Mean, of floats; NaN of nothing.
    mean mean_keepdim Mean, 3.0 4.0;
    /// Largest element; NaN if there is one.
    max max_keepdim Max, 6.0 5.0;
    /// Smallest element; NaN if there is one.
    min min_keepdim Min, 1.0 3.0;
    /// Product; of integers in i64.
    prod prod_keepdim Prod, 12.0 60.0;
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
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(x.argmax(1)?.to_vec_sync::<u32>()?, [2, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn argmax(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(true, dim, false)
    }
    /// [`Tensor::argmax`], keeping `dim` as size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(x.argmax_keepdim(1)?.to_vec2_sync::<u32>()?, [[2], [1]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn argmax_keepdim(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(true, dim, true)
    }
    /// u32 index of the smallest element along `dim`: the first of equals, NaN counts as smallest.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(x.argmin(1)?.to_vec_sync::<u32>()?, [0, 2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn argmin(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(false, dim, false)
    }
    /// [`Tensor::argmin`], keeping `dim` as size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(x.argmin_keepdim(1)?.to_vec2_sync::<u32>()?, [[0], [2]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn argmin_keepdim(&self, dim: isize) -> Result<Tensor> {
        self.arg_reduce(false, dim, true)
    }
    /// Running product along `dim`; of integers in i64.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 6.0], &Device::cpu())?;
    /// assert_eq!(x.cumprod(0)?.to_vec_sync::<f32>()?, [1.0, 2.0, 12.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn cumprod(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::CumProd { dim: self.shape().dim("cumprod", dim)? }, &[self])
    }
    /// Running sum along `dim`; of integers in i64.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 6.0], &Device::cpu())?;
    /// assert_eq!(x.cumsum(0)?.to_vec_sync::<f32>()?, [1.0, 3.0, 9.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn cumsum(&self, dim: isize) -> Result<Tensor> {
        Self::apply(Op::CumSum { dim: self.shape().dim("cumsum", dim)? }, &[self])
    }
}
