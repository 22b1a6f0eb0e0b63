//! Dropout.

use super::Module;
use crate::{
    dtype::DType,
    error::{Error, Result},
    tensor::{Generator, Tensor},
};
use std::sync::Arc;

/// While training, sets elements to zero with probability `p` and scales the others by `1 / (1 - p)` (Srivastava et al.
/// 2014); otherwise gives what it is given.
///
/// ```
/// use votive::{Device, Generator, Tensor, nn::{Dropout, Module}};
/// let dropout = Dropout::new(0.5)?.with_generator(Generator::new(1).into());
/// let x = Tensor::new([1.0f32; 8], &Device::cpu())?;
/// assert_eq!(dropout.forward(&x)?.to_vec_sync::<f32>()?, [1.0; 8]);
/// let dropped = dropout.forward_t(&x, true)?.to_vec_sync::<f32>()?;
/// assert!(dropped.iter().all(|&v| v == 0.0 || v == 2.0));
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dropout {
    p: f64,
    generator: Option<Arc<Generator>>,
}

impl Dropout {
    /// Drops with probability `p`, drawing from [`Generator::global`].
    ///
    /// # Errors
    /// When `p` is not between 0 and 1.
    pub fn new(p: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&p) {
            return Ok(Self { p, generator: None });
        }
        Err(Error::argument("dropout", format!("probability {p} is not between 0 and 1")))
    }
    /// The same, drawing from a generator of its own.
    pub fn with_generator(self, generator: Arc<Generator>) -> Self {
        Self { generator: Some(generator), ..self }
    }
    /// Does it do anything while training?
    pub(super) fn is_active(&self, training: bool) -> bool {
        training && self.p > 0.0
    }
}

impl Module for Dropout {
    fn forward_t(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        if !self.is_active(training) {
            return Ok(x.clone());
        }
        let generator = self.generator.as_deref().unwrap_or(Generator::global());
        let chance = Tensor::rand(x.shape(), DType::F32, x.device(), generator)?;
        let kept = chance.ge_scalar(self.p)?.to_dtype(x.dtype())?;
        // With p = 1 nothing is kept, and 1 / 0 must not come in.
        x.mul(&kept.mul_scalar(if self.p < 1.0 { 1.0 / (1.0 - self.p) } else { 0.0 })?)
    }
}
