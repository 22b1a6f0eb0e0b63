//! RMSprop.

use super::{Rule, blend, decayed, require};
use crate::{error::Result, tensor::Tensor};

/// RMSprop (Hinton 2012), as `torch.optim.RMSprop`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// How much of the running average of the squared gradient stays at each step.
    pub alpha: f64,
    /// Added to the divisor.
    pub eps: f64,
    /// Weight decay, as part of the gradient.
    pub weight_decay: f64,
    /// How much of the last step's direction stays.
    pub momentum: f64,
    /// Divide by the deviation from the mean gradient rather than from zero (Graves 2013).
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { lr: 1e-2, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

impl Rule for RmsProp {
    const SLOTS: &'static [&'static str] = &["square_avg", "grad_avg", "momentum"];

    fn learning_rate(&self) -> f64 {
        self.lr
    }
    fn set_learning_rate(&mut self, lr: f64) {
        self.lr = lr;
    }
    fn check(&self) -> Result<()> {
        require(self.lr >= 0.0, "rmsprop", "lr", self.lr)?;
        require(self.alpha >= 0.0, "rmsprop", "alpha", self.alpha)?;
        require(self.eps >= 0.0, "rmsprop", "eps", self.eps)?;
        require(self.momentum >= 0.0, "rmsprop", "momentum", self.momentum)?;
        require(self.weight_decay >= 0.0, "rmsprop", "weight_decay", self.weight_decay)
    }
    fn update(&self, value: &Tensor, grad: &Tensor, slots: &mut [Option<Tensor>], _: u64) -> Result<Tensor> {
        let grad = decayed(grad, value, self.weight_decay)?;
        let square = blend(slots[0].as_ref(), self.alpha, &grad.sqr()?, 1.0 - self.alpha)?;
        slots[0] = Some(square.clone());
        let spread = if self.centered {
            let mean = blend(slots[1].as_ref(), self.alpha, &grad, 1.0 - self.alpha)?;
            slots[1] = Some(mean.clone());
            square.sub(&mean.sqr()?)?
        } else {
            square
        };
        let mut direction = grad.div(&spread.sqrt()?.add_scalar(self.eps)?)?;
        if self.momentum > 0.0 {
            direction = blend(slots[2].as_ref(), self.momentum, &direction, 1.0)?;
            slots[2] = Some(direction.clone());
        }
        value.sub(&direction.mul_scalar(self.lr)?)
    }
}
