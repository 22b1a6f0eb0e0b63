//! Activation functions made of other operations; half precision is computed in f32.

use super::{Tensor, logical::in_float};
use crate::error::{Error, Result};

/// Activation functions, of floats, as in `torch.nn.functional`; more are beside them: [`Tensor::relu`],
/// [`Tensor::sigmoid`], [`Tensor::tanh`], [`Tensor::silu`], [`Tensor::gelu`], [`Tensor::gelu_tanh`], [`Tensor::softmax`].
///
/// ```
/// use votive::{Device, Tensor};
/// let x = Tensor::new([-4.0f32, -1.0, 0.0, 2.0, 8.0], &Device::cpu())?;
/// assert_eq!(x.relu6()?.to_vec_sync::<f32>()?, [0.0, 0.0, 0.0, 2.0, 6.0]);
/// assert_eq!(x.leaky_relu(0.5)?.to_vec_sync::<f32>()?, [-2.0, -0.5, 0.0, 2.0, 8.0]);
/// assert_eq!(x.hardtanh(-1.0, 1.0)?.to_vec_sync::<f32>()?, [-1.0, -1.0, 0.0, 1.0, 1.0]);
/// assert_eq!(x.hardsigmoid()?.to_vec_sync::<f32>()?[3], 5.0 / 6.0);
/// assert_eq!(x.softsign()?.to_vec_sync::<f32>()?[1], -0.5);
/// assert_eq!(x.elu(1.0)?.to_vec_sync::<f32>()?[4], 8.0);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// `min(max(x, 0), 6)`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-1f32, 3.0, 9.0], &Device::cpu())?;
    /// assert_eq!(x.relu6()?.to_vec_sync::<f32>()?, [0.0, 3.0, 6.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn relu6(&self) -> Result<Tensor> {
        self.clamp(0.0, 6.0)
    }
    /// `x` where it is positive, `slope * x` elsewhere.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-4f32, 2.0], &Device::cpu())?;
    /// assert_eq!(x.leaky_relu(0.5)?.to_vec_sync::<f32>()?, [-2.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn leaky_relu(&self, slope: f64) -> Result<Tensor> {
        self.detach().gt_scalar(0.0)?.where_cond(self, self.mul_scalar(slope)?)
    }
    /// [`Tensor::leaky_relu`] with learned slopes: one, or one for each place of dimension 1 (the channels).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[-1f32, -1.0], [3.0, 4.0]], &cpu)?;
    /// let slope = Tensor::new([0.5f32, 0.25], &cpu)?;
    /// assert_eq!(x.prelu(&slope)?.to_vec_sync::<f32>()?, [-0.5, -0.25, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn prelu(&self, slope: &Tensor) -> Result<Tensor> {
        let slope = match slope.elements() {
            1 => slope.reshape(())?,
            channels if self.rank() >= 2 && self.dims()[1] == channels => {
                let mut along = vec![1; self.rank()];
                along[1] = channels;
                slope.reshape(along)?
            }
            _ => {
                let why = "takes one slope, or one for each place of dimension 1";
                return Err(Error::shapes("prelu", self.shape(), slope.shape(), why));
            }
        };
        self.detach().gt_scalar(0.0)?.where_cond(self, self.mul(&slope)?)
    }
    /// `x` where it is positive, `alpha * (e^x - 1)` elsewhere (Clevert et al. 2015).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(-1f64, &Device::cpu())?;
    /// assert!((x.elu(1.0)?.item_sync()? + 0.632121).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn elu(&self, alpha: f64) -> Result<Tensor> {
        in_float(self, |x| exponential_unit(x, alpha, 1.0, 1.0))
    }
    /// [`Tensor::elu`] whose slope is continuous for every `alpha`: `alpha * (e^(x / alpha) - 1)` below 0 (Barron 2017).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(-1f64, &Device::cpu())?;
    /// assert!((x.celu(2.0)?.item_sync()? + 0.786939).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn celu(&self, alpha: f64) -> Result<Tensor> {
        in_float(self, |x| exponential_unit(x, alpha, 1.0 / alpha, 1.0))
    }
    /// [`Tensor::elu`] with the scales under which layers keep mean 0 and variance 1 (Klambauer et al. 2017).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(-1f64, &Device::cpu())?;
    /// assert!((x.selu()?.item_sync()? + 1.111331).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn selu(&self) -> Result<Tensor> {
        in_float(self, |x| exponential_unit(x, 1.673_263_242_354_377_2, 1.0, 1.050_700_987_355_480_5))
    }
    /// Limited to `min..=max`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-4f32, 0.5, 8.0], &Device::cpu())?;
    /// assert_eq!(x.hardtanh(-1.0, 1.0)?.to_vec_sync::<f32>()?, [-1.0, 0.5, 1.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn hardtanh(&self, min: f64, max: f64) -> Result<Tensor> {
        self.clamp(min, max)
    }
    /// `relu6(x + 3) / 6`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-4f32, 0.0, 4.0], &Device::cpu())?;
    /// assert_eq!(x.hardsigmoid()?.to_vec_sync::<f32>()?, [0.0, 0.5, 1.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn hardsigmoid(&self) -> Result<Tensor> {
        in_float(self, |x| x.add_scalar(3.0)?.relu6()?.div_scalar(6.0))
    }
    /// `x * relu6(x + 3) / 6` (Howard et al. 2019)
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-4f32, 1.5, 4.0], &Device::cpu())?;
    /// assert_eq!(x.hardswish()?.to_vec_sync::<f32>()?, [0.0, 1.125, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn hardswish(&self) -> Result<Tensor> {
        in_float(self, |x| x.mul(&x.hardsigmoid()?))
    }
    /// `log(1 + e^(beta * x)) / beta`; where `beta * x` is above `threshold`, `x`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(1f64, &Device::cpu())?;
    /// assert!((x.softplus(1.0, 20.0)?.item_sync()? - 1.313262).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn softplus(&self, beta: f64, threshold: f64) -> Result<Tensor> {
        in_float(self, |x| {
            let scaled = x.mul_scalar(beta)?;
            let soft = scaled.relu()?.add(&scaled.abs()?.neg()?.exp()?.log1p()?)?.div_scalar(beta)?;
            scaled.detach().gt_scalar(threshold)?.where_cond(x, soft)
        })
    }
    /// `log(sigmoid(x))` without overflow.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(-1f64, &Device::cpu())?;
    /// assert!((x.logsigmoid()?.item_sync()? + 1.313262).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logsigmoid(&self) -> Result<Tensor> {
        self.neg()?.softplus(1.0, f64::INFINITY)?.neg()
    }
    /// `x * tanh(softplus(x))` (Misra 2019)
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(1f64, &Device::cpu())?;
    /// assert!((x.mish()?.item_sync()? - 0.865098).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn mish(&self) -> Result<Tensor> {
        in_float(self, |x| x.mul(&x.softplus(1.0, 20.0)?.tanh()?))
    }
    /// `x / (1 + |x|)`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-1f32, 3.0], &Device::cpu())?;
    /// assert_eq!(x.softsign()?.to_vec_sync::<f32>()?, [-0.5, 0.75]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn softsign(&self) -> Result<Tensor> {
        in_float(self, |x| x.div(&x.abs()?.add_scalar(1.0)?))
    }
    /// `log(x / (1 - x))`, the inverse of [`Tensor::sigmoid`]; with `eps`, of `x` limited to `eps..=1 - eps`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(0.75f64, &Device::cpu())?;
    /// assert!((x.logit(None)?.item_sync()? - 1.098612).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn logit(&self, eps: Option<f64>) -> Result<Tensor> {
        in_float(self, |x| {
            let x = eps.map_or_else(|| Ok(x.clone()), |eps| x.clamp(eps, 1.0 - eps))?;
            x.log()?.sub(&x.neg()?.log1p()?)
        })
    }
    /// `x - tanh(x)`
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new(1f64, &Device::cpu())?;
    /// assert!((x.tanhshrink()?.item_sync()? - 0.238406).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn tanhshrink(&self) -> Result<Tensor> {
        in_float(self, |x| x.sub(&x.tanh()?))
    }
    /// 0 from `-lambda` to `lambda`, `x` elsewhere.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-1f32, 0.25, 2.0], &Device::cpu())?;
    /// assert_eq!(x.hardshrink(0.5)?.to_vec_sync::<f32>()?, [-1.0, 0.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn hardshrink(&self, lambda: f64) -> Result<Tensor> {
        self.masked_fill(&self.detach().abs()?.le_scalar(lambda)?, 0.0)
    }
    /// `x` brought towards 0 by `lambda`, and 0 from `-lambda` to `lambda`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([-1f32, 0.25, 2.0], &Device::cpu())?;
    /// assert_eq!(x.softshrink(0.5)?.to_vec_sync::<f32>()?, [-0.5, 0.0, 1.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn softshrink(&self, lambda: f64) -> Result<Tensor> {
        self.sub(&self.clamp(-lambda, lambda)?)
    }
    /// `x` where it is above `threshold`, `value` elsewhere.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([0.5f32, 2.0], &Device::cpu())?;
    /// assert_eq!(x.threshold(1.0, 9.0)?.to_vec_sync::<f32>()?, [9.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn threshold(&self, threshold: f64, value: f64) -> Result<Tensor> {
        self.detach().gt_scalar(threshold)?.where_cond(self, value)
    }
    /// The first half of `dim` times the sigmoid of the second (Dauphin et al. 2016).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([2f32, 4.0, 0.0, 0.0], &Device::cpu())?;
    /// assert_eq!(x.glu(0)?.to_vec_sync::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn glu(&self, dim: isize) -> Result<Tensor> {
        let size = self.dim(dim)?;
        if !size.is_multiple_of(2) {
            return Err(Error::shape("glu", format!("dimension {dim} of {} has no halves", self.shape())));
        }
        self.narrow(dim, 0, size / 2)?.mul(&self.narrow(dim, size / 2, size / 2)?.sigmoid()?)
    }
}

/// `scale * (max(x, 0) + alpha * (e^(rate * min(x, 0)) - 1))`
fn exponential_unit(x: &Tensor, alpha: f64, rate: f64, scale: f64) -> Result<Tensor> {
    let below = x.clamp_max(0.0)?.mul_scalar(rate)?.expm1()?;
    x.relu()?.mul_scalar(scale)?.add(&below.mul_scalar(alpha * scale)?)
}
