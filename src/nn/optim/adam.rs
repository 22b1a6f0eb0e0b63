//! Adam and AdamW.

use super::{Rule, blend, decayed, require};
use crate::{error::Result, tensor::Tensor};

/// Adam (Kingma & Ba 2015), as `torch.optim.Adam`: weight decay is part of the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// How much of the running averages of the gradient and of its square stays at each step.
    pub betas: (f64, f64),
    /// Added to the divisor.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Divide by the largest average so far (Reddi et al. 2018).
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Self { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019), as `torch.optim.AdamW`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// How much of the running averages of the gradient and of its square stays at each step.
    pub betas: (f64, f64),
    /// Added to the divisor.
    pub eps: f64,
    /// Weight decay: by this part of the learning rate the weights shrink at each step.
    pub weight_decay: f64,
    /// Divide by the largest average so far (Reddi et al. 2018).
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 1e-2, amsgrad: false }
    }
}

const SLOTS: &[&str] = &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

impl Adam {
    fn check(&self, name: &'static str) -> Result<()> {
        require(self.lr >= 0.0, name, "lr", self.lr)?;
        require(self.eps >= 0.0, name, "eps", self.eps)?;
        require((0.0..1.0).contains(&self.betas.0), name, "the first beta", self.betas.0)?;
        require((0.0..1.0).contains(&self.betas.1), name, "the second beta", self.betas.1)?;
        require(self.weight_decay >= 0.0, name, "weight_decay", self.weight_decay)
    }
    /// The step without weight decay.
    fn advance(&self, value: &Tensor, grad: &Tensor, slots: &mut [Option<Tensor>], step: u64) -> Result<Tensor> {
        let (beta1, beta2) = self.betas;
        let mean = blend(slots[0].as_ref(), beta1, grad, 1.0 - beta1)?;
        let mut square = blend(slots[1].as_ref(), beta2, &grad.sqr()?, 1.0 - beta2)?;
        (slots[0], slots[1]) = (Some(mean.clone()), Some(square.clone()));
        if self.amsgrad {
            if let Some(largest) = &slots[2] {
                square = square.maximum(largest)?;
            }
            slots[2] = Some(square.clone());
        }
        // Both averages began at zero: divided by how much of them has come in since.
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        let (filled1, filled2) = (1.0 - beta1.powi(step), 1.0 - beta2.powi(step));
        let divisor = square.sqrt()?.affine(1.0 / filled2.sqrt(), self.eps)?;
        value.sub(&mean.div(&divisor)?.mul_scalar(self.lr / filled1)?)
    }
}

impl Rule for Adam {
    const SLOTS: &'static [&'static str] = SLOTS;

    fn learning_rate(&self) -> f64 {
        self.lr
    }
    fn set_learning_rate(&mut self, lr: f64) {
        self.lr = lr;
    }
    fn check(&self) -> Result<()> {
        self.check("adam")
    }
    fn update(&self, value: &Tensor, grad: &Tensor, slots: &mut [Option<Tensor>], step: u64) -> Result<Tensor> {
        self.advance(value, &decayed(grad, value, self.weight_decay)?, slots, step)
    }
}

impl AdamW {
    fn plain(&self) -> Adam {
        let Self { lr, betas, eps, weight_decay, amsgrad } = *self;
        Adam { lr, betas, eps, weight_decay, amsgrad }
    }
}

impl Rule for AdamW {
    const SLOTS: &'static [&'static str] = SLOTS;

    fn learning_rate(&self) -> f64 {
        self.lr
    }
    fn set_learning_rate(&mut self, lr: f64) {
        self.lr = lr;
    }
    fn check(&self) -> Result<()> {
        self.plain().check("adamw")
    }
    fn update(&self, value: &Tensor, grad: &Tensor, slots: &mut [Option<Tensor>], step: u64) -> Result<Tensor> {
        let shrunk = value.mul_scalar(1.0 - self.lr * self.weight_decay)?;
        self.plain().advance(&shrunk, grad, slots, step)
    }
}
