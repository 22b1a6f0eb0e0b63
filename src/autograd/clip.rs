//! Clipping gradients before an optimiser's step.

use super::Gradients;
use crate::{
    dtype::DType,
    error::{Error, Result},
    tensor::Tensor,
};

/// Scales all gradients so that their norm, as of one long vector, is at most `max_norm`; gives the norm before, f32. As
/// PyTorch's `clip_grad_norm_`: `norm_type` is 2.0 for the usual norm, `f64::INFINITY` for the largest element. Nothing is
/// read back from the device.
///
/// ```
/// use votive::{Device, Tensor, autograd::clip_grad_norm};
/// let x = Tensor::new([3.0f32, 4.0], &Device::cpu())?.requires_grad();
/// let mut gradients = x.sqr()?.mul_scalar(0.5)?.sum(..)?.backward()?;
/// let norm = clip_grad_norm(&mut gradients, 1.0, 2.0)?;
/// assert_eq!(norm.to_vec_sync::<f32>()?, [5.0]);
/// let clipped = gradients.get(&x).unwrap().to_vec_sync::<f32>()?;
/// assert!((clipped[0] - 0.6).abs() < 1e-5 && (clipped[1] - 0.8).abs() < 1e-5);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When there is no gradient, `max_norm` is negative, or `norm_type` is not positive.
pub fn clip_grad_norm(gradients: &mut Gradients, max_norm: f64, norm_type: f64) -> Result<Tensor> {
    const OP: &str = "clip_grad_norm";
    if max_norm.is_nan() || max_norm < 0.0 || norm_type.is_nan() || norm_type <= 0.0 {
        return Err(Error::argument(OP, format!("no norm {norm_type} can be at most {max_norm}")));
    }
    let part = |grad: &Tensor| -> Result<Tensor> {
        let size = grad.to_dtype(DType::F32)?.abs()?;
        match norm_type {
            f64::INFINITY => size.max(..),
            2.0 => size.sqr()?.sum(..),
            p => size.pow_scalar(p)?.sum(..),
        }
    };
    let ids = gradients.ids();
    let parts = ids.iter().map(|id| &gradients.0[id]).filter(|grad| grad.elements() > 0).map(part);
    let parts = parts.collect::<Result<Vec<_>>>()?;
    if parts.is_empty() {
        return Err(Error::argument(OP, "no gradients"));
    }
    let all = Tensor::stack(&parts.iter().collect::<Vec<_>>(), 0)?;
    let norm = match norm_type {
        f64::INFINITY => all.max(..)?,
        2.0 => all.sum(..)?.sqrt()?,
        p => all.sum(..)?.pow_scalar(1.0 / p)?,
    };
    // PyTorch's guard against division by zero.
    let scale = norm.add_scalar(1e-6)?.recip()?.mul_scalar(max_norm)?.clamp(0.0, 1.0)?;
    gradients.update(|grad| grad.mul(&scale.to_dtype(grad.dtype())?))?;
    Ok(norm)
}

/// Limits each element of all gradients to `-limit..=limit`, as PyTorch's `clip_grad_value_`.
///
/// ```
/// use votive::{Device, Tensor, autograd::clip_grad_value};
/// let x = Tensor::new([3.0f32, -0.1], &Device::cpu())?.requires_grad();
/// let mut gradients = x.sqr()?.sum(..)?.backward()?;
/// clip_grad_value(&mut gradients, 1.0)?;
/// assert_eq!(gradients.get(&x).unwrap().to_vec_sync::<f32>()?, [1.0, -0.2]);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When the limit is negative.
pub fn clip_grad_value(gradients: &mut Gradients, limit: f64) -> Result<()> {
    gradients.update(|grad| grad.clamp(-limit, limit))
}

impl Gradients {
    /// Of the tensors that have gradients, in the order in which they were made: sums come out the same every time.
    fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<_> = self.0.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
    fn update(&mut self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
        self.0.values_mut().try_for_each(|grad| {
            *grad = f(grad)?;
            Ok(())
        })
    }
}
