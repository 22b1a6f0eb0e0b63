//! Normalisation over groups of channels, over a batch, over each image.

use super::Tensor;
use crate::error::{Error, Result};

impl Tensor {
    /// A parameter `[channels]` over `[n, channels, ..]`.
    fn per_channel(&self, op: &'static str, parameter: &Tensor) -> Result<Tensor> {
        let channels = self.dims().get(1).copied().unwrap_or(0);
        if self.rank() < 2 || parameter.dims() != [channels] {
            let why = format!("the parameter should be [{channels}], one for each channel");
            return Err(Error::shapes(op, self.shape(), parameter.shape(), why));
        }
        let mut shape = vec![1; self.rank() - 1];
        shape[0] = channels;
        parameter.to_dtype(self.dtype())?.reshape(shape)
    }
    /// `x * weight + bias`, both `[channels]`.
    fn scale_channels(self, op: &'static str, weight: Option<&Tensor>, bias: Option<&Tensor>) -> Result<Tensor> {
        let scaled = match weight {
            Some(weight) => self.mul(&self.per_channel(op, weight)?)?,
            None => self,
        };
        match bias {
            Some(bias) => scaled.add(&scaled.per_channel(op, bias)?),
            None => Ok(scaled),
        }
    }
    /// `(x - mean) / sqrt(variance + eps)` over groups of neighbouring channels of each `[n, c, ..]`, times a weight `[c]`
    /// plus a bias `[c]` (Wu & He 2018).
    ///
    /// ```
    /// use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 3.0], [5.0, 7.0]]], &Device::cpu())?;
    /// let y = x.group_norm(2, None, None, 0.0)?.to_vec_sync::<f32>()?;
    /// assert_eq!(y, [-1.0, 1.0, -1.0, 1.0]);
    /// assert_eq!(x.instance_norm(None, None, 0.0)?.to_vec_sync::<f32>()?, y);
    /// let (y, mean, _) = x.batch_norm_train(None, None, 1e-5)?;
    /// assert_eq!(mean.to_vec_sync::<f32>()?, [2.0, 6.0]);
    /// assert_eq!(x.batch_norm(&mean, &mean, None, None, 1e-5)?.dims(), y.dims());
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When channels are not so many equal groups, or a parameter is not `[c]`.
    pub fn group_norm(
        &self,
        groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        self.groups_normalised("group_norm", groups, weight, bias, eps)
    }
    fn groups_normalised(
        &self,
        op: &'static str,
        groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        let (n, c) = match *self.dims() {
            [n, c, ..] if groups > 0 && c.is_multiple_of(groups) => (n, c),
            [_, c, ..] => return Err(Error::argument(op, format!("{c} channels are not {groups} equal groups"))),
            _ => return Err(Error::shape(op, format!("{} should be [n, channels, ..]", self.shape()))),
        };
        if self.elements() == 0 {
            return self.clone().scale_channels(op, weight, bias);
        }
        let each = self.elements() / (n * groups);
        debug_assert!(each >= c / groups);
        let ones = self.scalar_like(1.0)?.broadcast_to(each)?;
        let normalised = self.reshape([n, groups, each])?.layer_norm(&ones, None, eps)?;
        normalised.reshape(self.shape())?.scale_channels(op, weight, bias)
    }
    /// [`Tensor::group_norm`] with each channel a group of its own (Ulyanov et al. 2016).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 3.0], [5.0, 9.0]]], &Device::cpu())?;
    /// assert_eq!(x.instance_norm(None, None, 0.0)?.to_vec3_sync::<f32>()?, [[[-1.0, 1.0], [-1.0, 1.0]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::group_norm`].
    pub fn instance_norm(&self, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
        let channels = self.dims().get(1).copied().unwrap_or(0);
        self.groups_normalised("instance_norm", channels.max(1), weight, bias, eps)
    }
    /// `(x - mean) / sqrt(variance + eps) * weight + bias` with statistics `[c]` that are given: batch normalisation of
    /// `[n, c, ..]` when a model is used (Ioffe & Szegedy 2015).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[[1f32, 3.0]]], &cpu)?;
    /// let (mean, variance) = (Tensor::new([2f32], &cpu)?, Tensor::new([4f32], &cpu)?);
    /// assert_eq!(x.batch_norm(&mean, &variance, None, None, 0.0)?.to_vec_sync::<f32>()?, [-0.5, 0.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a parameter is not `[c]`.
    pub fn batch_norm(
        &self,
        mean: &Tensor,
        variance: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        const OP: &str = "batch_norm";
        let scale = self.per_channel(OP, variance)?.add_scalar(eps)?.rsqrt()?;
        let scale = match weight {
            Some(weight) => scale.mul(&self.per_channel(OP, weight)?)?,
            None => scale,
        };
        let shift = self.per_channel(OP, mean)?.mul(&scale)?;
        let shift = match bias {
            Some(bias) => self.per_channel(OP, bias)?.sub(&shift)?,
            None => shift.neg()?,
        };
        self.mul(&scale)?.add(&shift)
    }
    /// Batch normalisation of `[n, c, ..]` by the batch's own mean and variance, which are the second and third result, `[c]`:
    /// for running statistics, to which PyTorch adds the unbiased variance that this is.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 3.0]]], &Device::cpu())?;
    /// let (y, mean, variance) = x.batch_norm_train(None, None, 0.0)?;
    /// assert_eq!(y.to_vec_sync::<f32>()?, [-1.0, 1.0]);
    /// assert_eq!((mean.item_sync()?, variance.item_sync()?), (2.0, 2.0));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a parameter is not `[c]`, or channels have fewer than two elements.
    pub fn batch_norm_train(
        &self,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        const OP: &str = "batch_norm";
        let channels = match self.dims() {
            [_, c, ..] => *c,
            _ => return Err(Error::shape(OP, format!("{} should be [n, channels, ..]", self.shape()))),
        };
        let count = self.elements().checked_div(channels).unwrap_or(0);
        if count < 2 {
            let message = format!("{} has fewer than two elements in each channel", self.shape());
            return Err(Error::shape(OP, message));
        }
        let dims: Vec<isize> = (0..self.rank() as isize).filter(|&d| d != 1).collect();
        let mean = self.mean_keepdim(&dims[..])?;
        let centred = self.sub(&mean)?;
        let variance = centred.sqr()?.mean_keepdim(&dims[..])?;
        let scaled = centred.mul(&variance.add_scalar(eps)?.rsqrt()?)?.scale_channels(OP, weight, bias)?;
        let unbiased = variance.mul_scalar(count as f64 / (count - 1) as f64)?;
        Ok((scaled, mean.reshape(channels)?.detach(), unbiased.reshape(channels)?.detach()))
    }
}
