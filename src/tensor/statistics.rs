//! Reductions made of others: variance, norms, logical ones, order statistics.

use super::{Dims, Tensor, logical::in_float};
use crate::error::{Error, Result};

/// Dimensions as arguments of further reductions.
fn signed(dims: &[usize]) -> Vec<isize> {
    dims.iter().map(|&d| d as isize).collect()
}

/// Statistics over the dimensions given: one (`-1`), several (`[0, 2]`) or all (`..`); the `_keepdim` forms keep them as
/// size 1. Half precision is computed in f32.
///
/// ```
/// use votive::{Device, Tensor};
/// let x = Tensor::new([[1.0f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
/// assert_eq!(x.var(1, 1.0)?.to_vec_sync::<f32>()?, [7.0, 13.0 / 3.0]);
/// assert_eq!(x.norm(2.0, 1)?.to_vec_sync::<f32>()?[1], 5.0);
/// assert_eq!(x.norm(1.0, ..)?.to_vec_sync::<f32>()?, [16.0]);
/// assert_eq!(x.any(0)?.to_vec_sync::<u8>()?, [1, 1, 1]);
/// assert_eq!(x.all(0)?.to_vec_sync::<u8>()?, [1, 1, 0]);
/// assert_eq!(x.count_nonzero(..)?.to_vec_sync::<i64>()?, [5]);
/// let (values, indices) = x.max_dim(1)?;
/// assert_eq!((values.to_vec_sync::<f32>()?, indices.to_vec_sync::<u32>()?), (vec![6.0, 4.0], vec![2, 1]));
/// assert_eq!(x.median(1)?.0.to_vec_sync::<f32>()?, [2.0, 3.0]);
/// assert_eq!(x.quantile(0.25, 1)?.to_vec_sync::<f32>()?, [1.5, 1.5]);
/// let total = x.exp()?.sum(..)?.log()?.to_vec_sync::<f32>()?[0];
/// assert!((x.logsumexp(..)?.to_vec_sync::<f32>()?[0] - total).abs() < 1e-6);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// The variance: squared distances from the mean, over their number less `correction` (1 for samples, as PyTorch's
    /// default; 0 for whole populations). Of floats.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 3.0, 5.0], [2.0, 2.0, 2.0]], &Device::cpu())?;
    /// assert_eq!(x.var(1, 1.0)?.to_vec_sync::<f32>()?, [4.0, 0.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn var(&self, dims: impl Dims, correction: f64) -> Result<Tensor> {
        self.reduced("var", dims, false, |x, dims| variance(x, dims, correction))
    }
    /// [`Tensor::var`], keeping the dimensions as size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 3.0, 5.0], [2.0, 2.0, 2.0]], &Device::cpu())?;
    /// assert_eq!(x.var_keepdim(1, 1.0)?.to_vec2_sync::<f32>()?, [[4.0], [0.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn var_keepdim(&self, dims: impl Dims, correction: f64) -> Result<Tensor> {
        self.reduced("var", dims, true, |x, dims| variance(x, dims, correction))
    }
    /// The square root of [`Tensor::var`]; where it is 0, so is its gradient.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 3.0, 5.0], [2.0, 2.0, 2.0]], &Device::cpu())?;
    /// assert_eq!(x.std(1, 1.0)?.to_vec_sync::<f32>()?, [2.0, 0.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn std(&self, dims: impl Dims, correction: f64) -> Result<Tensor> {
        self.reduced("std", dims, false, |x, dims| root(&variance(x, dims, correction)?, 2.0))
    }
    /// [`Tensor::std`], keeping the dimensions as size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 3.0, 5.0], [2.0, 2.0, 2.0]], &Device::cpu())?;
    /// assert_eq!(x.std_keepdim(1, 1.0)?.to_vec2_sync::<f32>()?, [[2.0], [0.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn std_keepdim(&self, dims: impl Dims, correction: f64) -> Result<Tensor> {
        self.reduced("std", dims, true, |x, dims| root(&variance(x, dims, correction)?, 2.0))
    }
    /// The `p`-norm of floats: `sum(|x|^p)^(1/p)`; the largest magnitude for infinity, the smallest for minus infinity, the
    /// number of elements that are not 0 for 0. At a norm of 0 its gradient is 0.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[3f32, -4.0], [0.0, 2.0]], &Device::cpu())?;
    /// assert_eq!(x.norm(2.0, 1)?.to_vec_sync::<f32>()?, [5.0, 2.0]);
    /// assert_eq!(x.norm(1.0, 1)?.to_vec_sync::<f32>()?, [7.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn norm(&self, p: f64, dims: impl Dims) -> Result<Tensor> {
        self.reduced("norm", dims, false, |x, dims| norm(x, p, dims))
    }
    /// [`Tensor::norm`], keeping the dimensions as size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[3f32, -4.0], [0.0, 2.0]], &Device::cpu())?;
    /// assert_eq!(x.norm_keepdim(2.0, 1)?.to_vec2_sync::<f32>()?, [[5.0], [2.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn norm_keepdim(&self, p: f64, dims: impl Dims) -> Result<Tensor> {
        self.reduced("norm", dims, true, |x, dims| norm(x, p, dims))
    }
    /// This divided by its `p`-norm along `dim`, or by `eps` where that is larger (`F.normalize`).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[3f32, -4.0], [0.0, 2.0]], &Device::cpu())?;
    /// let expected = Tensor::new([[0.6f32, -0.8], [0.0, 1.0]], &Device::cpu())?;
    /// assert!(x.normalize(2.0, 1, 1e-12)?.allclose_sync(&expected, 1e-6, 1e-6, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn normalize(&self, p: f64, dim: isize, eps: f64) -> Result<Tensor> {
        self.div(&self.norm_keepdim(p, dim)?.maximum_scalar(eps)?)
    }
    /// `log(sum(e^x))` without overflow, of floats.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 3.0], &Device::cpu())?;
    /// assert!((x.logsumexp(0)?.item_sync()? - 3.407606).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logsumexp(&self, dims: impl Dims) -> Result<Tensor> {
        self.reduced("logsumexp", dims, false, logsumexp)
    }
    /// [`Tensor::logsumexp`], keeping the dimensions as size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 3.0], &Device::cpu())?;
    /// assert!((x.logsumexp_keepdim(0)?.to_vec_sync::<f32>()?[0] - 3.407606).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logsumexp_keepdim(&self, dims: impl Dims) -> Result<Tensor> {
        self.reduced("logsumexp", dims, true, logsumexp)
    }
    /// 1 where one of the elements is not 0, as u8; 0 of nothing.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[0f32, 2.0], [0.0, 0.0], [1.0, 3.0]], &Device::cpu())?;
    /// assert_eq!(x.any(1)?.to_vec_sync::<u8>()?, [1, 0, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn any(&self, dims: impl Dims) -> Result<Tensor> {
        self.truth()?.sum(dims)?.gt_scalar(0.0)
    }
    /// 1 where none of the elements is 0, as u8; 1 of nothing.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[0f32, 2.0], [0.0, 0.0], [1.0, 3.0]], &Device::cpu())?;
    /// assert_eq!(x.all(1)?.to_vec_sync::<u8>()?, [0, 0, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn all(&self, dims: impl Dims) -> Result<Tensor> {
        self.detach().eq_scalar(0.0)?.sum(dims)?.eq_scalar(0.0)
    }
    /// How many elements are not 0, as i64.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[0f32, 2.0], [0.0, 0.0], [1.0, 3.0]], &Device::cpu())?;
    /// assert_eq!(x.count_nonzero(1)?.to_vec_sync::<i64>()?, [1, 0, 2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn count_nonzero(&self, dims: impl Dims) -> Result<Tensor> {
        self.truth()?.sum(dims)
    }
    /// The largest elements along `dim` and their u32 indices: the first of equals.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// let (values, indices) = x.max_dim(1)?;
    /// assert_eq!(values.to_vec_sync::<f32>()?, [6.0, 4.0]);
    /// assert_eq!(indices.to_vec_sync::<u32>()?, [2, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn max_dim(&self, dim: isize) -> Result<(Tensor, Tensor)> {
        self.chosen(dim, self.argmax_keepdim(dim)?)
    }
    /// The smallest elements along `dim` and their u32 indices: the first of equals.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// let (values, indices) = x.min_dim(1)?;
    /// assert_eq!(values.to_vec_sync::<f32>()?, [1.0, 0.0]);
    /// assert_eq!(indices.to_vec_sync::<u32>()?, [0, 2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn min_dim(&self, dim: isize) -> Result<(Tensor, Tensor)> {
        self.chosen(dim, self.argmin_keepdim(dim)?)
    }
    /// The middle elements of `dim` in order (of an even number the lower one) and their u32 indices.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// let (values, indices) = x.median(1)?;
    /// assert_eq!(values.to_vec_sync::<f32>()?, [2.0, 3.0]);
    /// assert_eq!(indices.to_vec_sync::<u32>()?, [1, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn median(&self, dim: isize) -> Result<(Tensor, Tensor)> {
        let size = self.dim(dim)?;
        if size == 0 {
            return Err(Error::shape(
                "median",
                format!("nothing to choose from along dimension {dim} of {}", self.shape()),
            ));
        }
        self.chosen(dim, self.argsort(dim, false)?.narrow(dim, (size - 1) / 2, 1)?)
    }
    /// The value below which the share `q` of the elements of `dim` lies, between two elements by their distances to it.
    /// Of floats.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0, 6.0], [3.0, 4.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(x.quantile(0.25, 1)?.to_vec_sync::<f32>()?, [1.5, 1.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn quantile(&self, q: f64, dim: isize) -> Result<Tensor> {
        let size = self.dim(dim)?;
        if size == 0 || !(0.0..=1.0).contains(&q) {
            return Err(Error::argument("quantile", format!("{q} of {size} elements; takes 0..=1 of one at least")));
        }
        let (sorted, at) = (self.sort(dim, false)?.0, q * (size - 1) as f64);
        let element = |i: f64| sorted.select(dim, i as usize);
        element(at.floor())?.lerp(&element(at.ceil())?, at.fract())
    }
    /// The elements at `indices`, one for each line along `dim`, which goes away.
    fn chosen(&self, dim: isize, indices: Tensor) -> Result<(Tensor, Tensor)> {
        Ok((self.gather(dim, &indices)?.squeeze(dim)?, indices.squeeze(dim)?))
    }
    /// `f`, which keeps `dims` as size 1, in f32 on half precision.
    fn reduced(
        &self,
        op: &'static str,
        dims: impl Dims,
        keep: bool,
        f: impl FnOnce(&Tensor, &[isize]) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Err(Error::dtype(op, format!("takes floats, got {}; cast with to_dtype", self.dtype())));
        }
        let dims = dims.indices(op, self.shape())?;
        let kept = in_float(self, |x| f(x, &signed(&dims)))?;
        if keep {
            return Ok(kept);
        }
        let sizes = (0..self.rank()).filter(|i| !dims.contains(i)).map(|i| self.dims()[i]);
        kept.reshape(sizes.collect::<Vec<_>>())
    }
}

/// How many elements are reduced to one.
fn count(x: &Tensor, dims: &[isize]) -> f64 {
    dims.iter().map(|&d| x.dims()[d as usize]).product::<usize>() as f64
}

fn variance(x: &Tensor, dims: &[isize], correction: f64) -> Result<Tensor> {
    let distances = x.sub(&x.mean_keepdim(dims)?)?;
    distances.sqr()?.sum_keepdim(dims)?.div_scalar((count(x, dims) - correction).max(0.0))
}

fn norm(x: &Tensor, p: f64, dims: &[isize]) -> Result<Tensor> {
    if p == f64::INFINITY {
        return x.abs()?.max_keepdim(dims);
    }
    if p == f64::NEG_INFINITY {
        return x.abs()?.min_keepdim(dims);
    }
    if p == 0.0 {
        return x.truth()?.sum_keepdim(dims)?.to_dtype(x.dtype());
    }
    if p == 1.0 {
        return x.abs()?.sum_keepdim(dims);
    }
    let powers = if p == 2.0 { x.sqr()? } else { x.abs()?.pow_scalar(p)? };
    let sum = powers.sum_keepdim(dims)?;
    root(&sum, p)
}

/// `x^(1/p)` whose gradient is 0 where `x` is, as PyTorch's: the slope is infinite there, and 1 is taken instead.
fn root(x: &Tensor, p: f64) -> Result<Tensor> {
    let zero = x.detach().eq_scalar(0.0)?;
    let safe = x.masked_fill(&zero, 1.0)?;
    let root = if p == 2.0 { safe.sqrt()? } else { safe.pow_scalar(1.0 / p)? };
    root.masked_fill(&zero, 0.0)
}

fn logsumexp(x: &Tensor, dims: &[isize]) -> Result<Tensor> {
    if x.elements() == 0 {
        return x.exp()?.sum_keepdim(dims)?.log();
    }
    // Infinite maxima are not taken out: their difference to themselves is NaN.
    let largest = x.detach().max_keepdim(dims)?;
    let largest = largest.masked_fill(&largest.isinf()?, 0.0)?;
    x.sub(&largest)?.exp()?.sum_keepdim(dims)?.log()?.add(&largest)
}
