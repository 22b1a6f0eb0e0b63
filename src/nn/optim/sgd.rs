//! Stochastic gradient descent.

use super::{Rule, blend, decayed, require};
use crate::{
    error::{Error, Result},
    tensor::Tensor,
};

/// Stochastic gradient descent with momentum, as `torch.optim.SGD`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// How much of the last step's direction stays.
    pub momentum: f64,
    /// How much less than the whole gradient joins the direction.
    pub dampening: f64,
    /// Weight decay, as part of the gradient.
    pub weight_decay: f64,
    /// Nesterov's momentum: looks ahead by one step (Sutskever et al. 2013).
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

impl Rule for Sgd {
    const SLOTS: &'static [&'static str] = &["momentum"];

    fn learning_rate(&self) -> f64 {
        self.lr
    }
    fn set_learning_rate(&mut self, lr: f64) {
        self.lr = lr;
    }
    fn check(&self) -> Result<()> {
        require(self.lr >= 0.0, "sgd", "lr", self.lr)?;
        require(self.momentum >= 0.0, "sgd", "momentum", self.momentum)?;
        require(self.weight_decay >= 0.0, "sgd", "weight_decay", self.weight_decay)?;
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            return Err(Error::argument("sgd", "Nesterov's momentum needs momentum, and no dampening"));
        }
        Ok(())
    }
    fn update(&self, value: &Tensor, grad: &Tensor, slots: &mut [Option<Tensor>], _: u64) -> Result<Tensor> {
        let grad = decayed(grad, value, self.weight_decay)?;
        let direction = if self.momentum == 0.0 {
            grad
        } else {
            // The first gradient is not dampened.
            let share = if slots[0].is_none() { 1.0 } else { 1.0 - self.dampening };
            let held = blend(slots[0].as_ref(), self.momentum, &grad, share)?;
            slots[0] = Some(held.clone());
            if self.nesterov { grad.add(&held.mul_scalar(self.momentum)?)? } else { held }
        };
        value.sub(&direction.mul_scalar(self.lr)?)
    }
}
