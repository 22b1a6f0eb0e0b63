//! Lion.

use super::{Rule, blend, require};
use crate::{error::Result, tensor::Tensor};

/// Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2): steps of one size, by the sign of
/// a blend of gradient and momentum, with decoupled weight decay. Its learning rate is 3 to 10 times smaller than AdamW's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub lr: f64,
    /// How much momentum is in the step, and how much of it stays for the next.
    pub betas: (f64, f64),
    /// Weight decay: by this part of the learning rate the weights shrink at each step.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Self { lr: 1e-4, betas: (0.9, 0.99), weight_decay: 0.0 }
    }
}

impl Rule for Lion {
    const SLOTS: &'static [&'static str] = &["momentum"];

    fn learning_rate(&self) -> f64 {
        self.lr
    }
    fn set_learning_rate(&mut self, lr: f64) {
        self.lr = lr;
    }
    fn check(&self) -> Result<()> {
        require(self.lr >= 0.0, "lion", "lr", self.lr)?;
        require((0.0..1.0).contains(&self.betas.0), "lion", "the first beta", self.betas.0)?;
        require((0.0..1.0).contains(&self.betas.1), "lion", "the second beta", self.betas.1)?;
        require(self.weight_decay >= 0.0, "lion", "weight_decay", self.weight_decay)
    }
    fn update(&self, value: &Tensor, grad: &Tensor, slots: &mut [Option<Tensor>], _: u64) -> Result<Tensor> {
        let (beta1, beta2) = self.betas;
        let step = blend(slots[0].as_ref(), beta1, grad, 1.0 - beta1)?.sign()?;
        slots[0] = Some(blend(slots[0].as_ref(), beta2, grad, 1.0 - beta2)?);
        value.mul_scalar(1.0 - self.lr * self.weight_decay)?.sub(&step.mul_scalar(self.lr)?)
    }
}
