//! Tests of elements and logic on u8 masks, in which 0 is false and everything else true.

use super::{Tensor, operators::Operand};
use crate::{
    dtype::DType,
    error::{Error, Result},
    op::Op,
};

/// Tests and logic. Results are u8 masks of 0 and 1.
///
/// ```
/// use votive::{Device, Tensor};
/// let x = Tensor::new([1.0f32, f32::NAN, f32::NEG_INFINITY, 0.0], &Device::cpu())?;
/// assert_eq!(x.isnan()?.to_vec_sync::<u8>()?, [0, 1, 0, 0]);
/// assert_eq!(x.isinf()?.to_vec_sync::<u8>()?, [0, 0, 1, 0]);
/// assert_eq!(x.isfinite()?.logical_and(&x)?.to_vec_sync::<u8>()?, [1, 0, 0, 0]);
/// assert_eq!(x.logical_not()?.to_vec_sync::<u8>()?, [0, 0, 0, 1]);
/// assert_eq!(x.nan_to_num(7.0, None, Some(-9.0))?.to_vec_sync::<f32>()?, [1.0, 7.0, -9.0, 0.0]);
/// assert_eq!(x.masked_fill(&x.isfinite()?, 2.0)?.to_vec_sync::<f32>()?[3], 2.0);
/// assert!(x.allclose_sync(&x, 1e-5, 1e-8, true)?);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// 1 where the element is not a number.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, f32::NAN], &Device::cpu())?;
    /// assert_eq!(x.isnan()?.to_vec_sync::<u8>()?, [0, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn isnan(&self) -> Result<Tensor> {
        let x = self.detach();
        x.ne(&x)
    }
    /// 1 where the element is infinite, of either sign.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, f32::NEG_INFINITY, f32::NAN], &Device::cpu())?;
    /// assert_eq!(x.isinf()?.to_vec_sync::<u8>()?, [0, 1, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn isinf(&self) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Self::zeros(self.shape(), DType::U8, self.device());
        }
        self.detach().abs()?.eq_scalar(f64::INFINITY)
    }
    /// 1 where the element is neither infinite nor NaN.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, f32::NEG_INFINITY, f32::NAN], &Device::cpu())?;
    /// assert_eq!(x.isfinite()?.to_vec_sync::<u8>()?, [1, 0, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn isfinite(&self) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Self::ones(self.shape(), DType::U8, self.device());
        }
        self.detach().abs()?.lt_scalar(f64::INFINITY)
    }
    /// NaN, infinity and minus infinity replaced; where no number is given for an infinity, by the dtype's largest or
    /// smallest.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &Device::cpu())?;
    /// assert_eq!(x.nan_to_num(0.0, Some(9.0), None)?.to_vec_sync::<f32>()?, [0.0, 9.0, f32::MIN]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn nan_to_num(&self, nan: f64, posinf: Option<f64>, neginf: Option<f64>) -> Result<Tensor> {
        let largest = match self.dtype() {
            DType::F64 => f64::MAX,
            DType::F32 => f64::from(f32::MAX),
            DType::F16 => half::f16::MAX.to_f64(),
            DType::BF16 => half::bf16::MAX.to_f64(),
            _ => return Ok(self.clone()),
        };
        let x = self.masked_fill(&self.isnan()?, nan)?;
        let x = x.masked_fill(&self.eq_scalar(f64::INFINITY)?, posinf.unwrap_or(largest))?;
        x.masked_fill(&self.eq_scalar(f64::NEG_INFINITY)?, neginf.unwrap_or(-largest))
    }
    /// 1 where both are true.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([0u8, 0, 1, 1], &Device::cpu())?;
    /// let y = Tensor::new([0u8, 1, 0, 1], &Device::cpu())?;
    /// assert_eq!(x.logical_and(&y)?.to_vec_sync::<u8>()?, [0, 0, 0, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logical_and(&self, other: &Tensor) -> Result<Tensor> {
        self.truth()?.mul(&other.truth()?)
    }
    /// 1 where one is true, or both.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([0u8, 0, 1, 1], &Device::cpu())?;
    /// let y = Tensor::new([0u8, 1, 0, 1], &Device::cpu())?;
    /// assert_eq!(x.logical_or(&y)?.to_vec_sync::<u8>()?, [0, 1, 1, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logical_or(&self, other: &Tensor) -> Result<Tensor> {
        self.truth()?.maximum(&other.truth()?)
    }
    /// 1 where one is true, but not both.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([0u8, 0, 1, 1], &Device::cpu())?;
    /// let y = Tensor::new([0u8, 1, 0, 1], &Device::cpu())?;
    /// assert_eq!(x.logical_xor(&y)?.to_vec_sync::<u8>()?, [0, 1, 1, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logical_xor(&self, other: &Tensor) -> Result<Tensor> {
        self.truth()?.ne(&other.truth()?)
    }
    /// 1 where the element is false.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([0f32, 1.0, 2.0], &Device::cpu())?;
    /// assert_eq!(x.logical_not()?.to_vec_sync::<u8>()?, [1, 0, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logical_not(&self) -> Result<Tensor> {
        self.detach().eq_scalar(0.0)
    }
    /// 1 where the element is not 0.
    pub(super) fn truth(&self) -> Result<Tensor> {
        self.detach().ne_scalar(0.0)
    }
    /// `value` (a number, or a tensor that broadcasts to this) where the u8 `mask`, which broadcasts too, is not 0.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let mask = Tensor::new([0u8, 1], &Device::cpu())?;
    /// assert_eq!(x.masked_fill(&mask, 9.0)?.to_vec_sync::<f32>()?, [1.0, 9.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn masked_fill(&self, mask: &Tensor, value: impl Operand) -> Result<Tensor> {
        mask.where_cond(value, self)
    }
    /// 1 where `|self - other| <= atol + rtol * |other|`, or both are equal; NaN equals NaN if `equal_nan`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let y = Tensor::new([1.01f32, 3.0], &Device::cpu())?;
    /// assert_eq!(x.isclose(&y, 0.0, 0.1, false)?.to_vec_sync::<u8>()?, [1, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn isclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<Tensor> {
        let wide = self.device().widest_float();
        let (a, b) = (self.detach().to_dtype(wide)?, other.detach().to_dtype(wide)?);
        let near = a.sub(&b)?.abs()?.le(&b.abs()?.affine(rtol, atol)?)?.mul(&b.isfinite()?)?;
        let close = near.maximum(&a.eq(&b)?)?;
        if equal_nan { close.maximum(&a.isnan()?.mul(&b.isnan()?)?) } else { Ok(close) }
    }
    /// Are all elements close, as [`Tensor::isclose`] says?
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let y = Tensor::new([1.01f32, 2.02], &Device::cpu())?;
    /// assert!(votive::block_on(x.allclose(&y, 0.1, 0.0, false))?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub async fn allclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<bool> {
        Ok(self.isclose(other, rtol, atol, equal_nan)?.all(..)?.to_scalar::<u8>().await? != 0)
    }
    /// [`Tensor::allclose`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let y = Tensor::new([1.01f32, 2.02], &Device::cpu())?;
    /// assert!(x.allclose_sync(&y, 0.1, 0.0, false)? && !x.allclose_sync(&y, 1e-5, 1e-8, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn allclose_sync(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<bool> {
        Ok(self.isclose(other, rtol, atol, equal_nan)?.all(..)?.to_scalar_sync::<u8>()? != 0)
    }
}

/// Functions of two and three tensors that others make up.
///
/// ```
/// use votive::{Device, Tensor};
/// let vector = |v: [f32; 2]| Tensor::new(v, &Device::cpu());
/// let (a, b) = (vector([1.0, 2.0])?, vector([3.0, 10.0])?);
/// assert_eq!(a.lerp(&b, 0.5)?.to_vec_sync::<f32>()?, [2.0, 6.0]);
/// assert_eq!(a.addcmul(&a, &b, 2.0)?.to_vec_sync::<f32>()?, [7.0, 42.0]);
/// assert_eq!(b.clamp_tensor(&a, &vector([2.0, 20.0])?)?.to_vec_sync::<f32>()?, [2.0, 10.0]);
/// assert_eq!(a.logaddexp(&a)?.to_vec_sync::<f32>()?[0], 1.0 + std::f32::consts::LN_2);
/// assert_eq!(b.floor_divide(&a)?.to_vec_sync::<f32>()?, [3.0, 5.0]);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// `self + weight * (end - self)`, with a number or a tensor as weight.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let y = Tensor::new([3f32, 10.0], &Device::cpu())?;
    /// assert_eq!(x.lerp(&y, 0.5)?.to_vec_sync::<f32>()?, [2.0, 6.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn lerp(&self, end: &Tensor, weight: impl Operand) -> Result<Tensor> {
        self.add(&(end.sub(self)? * weight)?)
    }
    /// `self + value * a * b`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let y = Tensor::new([3f32, 10.0], &Device::cpu())?;
    /// assert_eq!(x.addcmul(&x, &y, 2.0)?.to_vec_sync::<f32>()?, [7.0, 42.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn addcmul(&self, a: &Tensor, b: &Tensor, value: f64) -> Result<Tensor> {
        self.add(&a.mul(b)?.mul_scalar(value)?)
    }
    /// `self + value * a / b`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// let y = Tensor::new([2f32, 8.0], &Device::cpu())?;
    /// assert_eq!(x.addcdiv(&x, &y, 2.0)?.to_vec_sync::<f32>()?, [2.0, 2.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn addcdiv(&self, a: &Tensor, b: &Tensor, value: f64) -> Result<Tensor> {
        self.add(&a.div(b)?.mul_scalar(value)?)
    }
    /// At least `min`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.clamp_min(2.0)?.to_vec_sync::<f32>()?, [2.0, 5.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn clamp_min(&self, min: f64) -> Result<Tensor> {
        self.clamp(min, f64::INFINITY)
    }
    /// At most `max`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// assert_eq!(x.clamp_max(2.0)?.to_vec_sync::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn clamp_max(&self, max: f64) -> Result<Tensor> {
        self.clamp(f64::NEG_INFINITY, max)
    }
    /// Limited to the elements of `min` and `max`; where they cross, `max`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 5.0], &Device::cpu())?;
    /// let (min, max) = (Tensor::new([2f32], &Device::cpu())?, Tensor::new([3f32, 4.0], &Device::cpu())?);
    /// assert_eq!(x.clamp_tensor(&min, &max)?.to_vec_sync::<f32>()?, [2.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn clamp_tensor(&self, min: &Tensor, max: &Tensor) -> Result<Tensor> {
        self.maximum(min)?.minimum(max)
    }
    /// `log(e^a + e^b)` without overflow.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 1000.0], &Device::cpu())?;
    /// let y = Tensor::new([2f32, 0.0], &Device::cpu())?;
    /// let expected = Tensor::new([2.3132617f32, 1000.0], &Device::cpu())?;
    /// assert!(x.logaddexp(&y)?.allclose_sync(&expected, 1e-6, 1e-6, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logaddexp(&self, other: &Tensor) -> Result<Tensor> {
        let larger = self.maximum(other)?;
        let distance = self.sub(other)?.abs()?;
        // Infinities of one sign are no distance apart: their difference is NaN.
        let distance = distance.masked_fill(&distance.isnan()?.mul(&larger.isnan()?.logical_not()?)?, 0.0)?;
        larger.add(&distance.neg()?.exp()?.log1p()?)
    }
    /// `floor(a / b)`; of integers too, for which [`Tensor::div`] rounds towards zero.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([7i32, -7], &Device::cpu())?;
    /// let y = Tensor::new([2i32], &Device::cpu())?;
    /// assert_eq!(x.floor_divide(&y)?.to_vec_sync::<i32>()?, [3, -4]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn floor_divide(&self, other: &Tensor) -> Result<Tensor> {
        if self.dtype().is_float() {
            return self.div(other)?.floor();
        }
        self.sub(&self.remainder(other)?)?.div(other)
    }
    /// The other bits of integers: `-1 - x`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([0i32, 5, -1], &Device::cpu())?;
    /// assert_eq!(x.bitwise_not()?.to_vec_sync::<i32>()?, [-1, -6, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn bitwise_not(&self) -> Result<Tensor> {
        if !self.dtype().is_int() {
            return Err(Error::dtype("bitwise_not", format!("takes integers, got {}", self.dtype())));
        }
        self.affine(-1.0, -1.0)
    }
    /// 1 where the element is among `values`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2, 3], &Device::cpu())?;
    /// let y = Tensor::new([3i64, 1], &Device::cpu())?;
    /// assert_eq!(x.isin(&y)?.to_vec_sync::<u8>()?, [1, 0, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn isin(&self, values: &Tensor) -> Result<Tensor> {
        self.detach().unsqueeze(-1)?.eq(&values.detach().flatten_all()?)?.any(-1)
    }
    /// [`Tensor::softmax`] of the negative.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3f32, 2.0, 1.0], &Device::cpu())?;
    /// let expected = Tensor::new([0.09003057f32, 0.24472847, 0.66524096], &Device::cpu())?;
    /// assert!(x.softmin(0)?.allclose_sync(&expected, 1e-6, 1e-6, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn softmin(&self, dim: isize) -> Result<Tensor> {
        self.neg()?.softmax(dim)
    }
    /// What is after the decimal point, with the sign of the element.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1.25f32, -2.5], &Device::cpu())?;
    /// assert_eq!(x.frac()?.to_vec_sync::<f32>()?, [0.25, -0.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn frac(&self) -> Result<Tensor> {
        self.sub(&self.trunc()?)
    }
}

/// Runs `f` in f32 on half precision, so that only the result is rounded to it.
pub(super) fn in_float(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    match x.dtype() {
        DType::F16 | DType::BF16 => f(&Tensor::apply(Op::Cast(DType::F32), &[x])?)?.to_dtype(x.dtype()),
        _ => f(x),
    }
}
