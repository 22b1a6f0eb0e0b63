//! Adam and AdamW.

use super::{Rule, blend, decayed, require};
use crate::{
    backend::{
        Meta, View,
        cpu::{
            Buffer,
            adam::{AdamStep, adam},
        },
    },
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    op::CustomOp,
    tensor::Tensor,
};
use std::sync::Arc;

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
    /// The step, with decoupled weight decay: by the factor `shrink` on the value.
    fn advance(
        &self,
        shrink: f64,
        value: &Tensor,
        grad: &Tensor,
        slots: &mut [Option<Tensor>],
        step: u64,
    ) -> Result<Tensor> {
        let step = FusedStep { rule: *self, shrink, step: i32::try_from(step).unwrap_or(i32::MAX) };
        let kept = |slot: &Option<Tensor>| slot.clone().map_or_else(|| value.zeros_like(), Ok);
        let (mean, square) = (kept(&slots[0])?, kept(&slots[1])?);
        if !self.amsgrad {
            let next = Tensor::custom(Arc::new(step), &[value, grad, &mean, &square])?;
            (slots[0], slots[1]) = (Some(next.select(0, 1)?), Some(next.select(0, 2)?));
            return next.select(0, 0);
        }
        let (mean, square) = step.averages(grad, &mean, &square)?;
        let largest = match &slots[2] {
            Some(largest) => square.maximum(largest)?,
            None => square.clone(),
        };
        let next = step.value(value, &mean, &largest)?;
        (slots[0], slots[1], slots[2]) = (Some(mean), Some(square), Some(largest));
        Ok(next)
    }
}

/// `[value, gradient, running mean, running mean square]` → the next value, mean and mean square, stacked: one pass over the
/// memory where there is a kernel.
#[derive(Clone, Copy, Debug)]
struct FusedStep {
    rule: Adam,
    shrink: f64,
    step: i32,
}

impl FusedStep {
    /// Both averages began at zero: how much of them has come in since.
    fn filled(&self) -> (f64, f64) {
        let (beta1, beta2) = self.rule.betas;
        (1.0 - beta1.powi(self.step), 1.0 - beta2.powi(self.step))
    }
    /// The next running averages of the gradient and of its square.
    fn averages(&self, grad: &Tensor, mean: &Tensor, square: &Tensor) -> Result<(Tensor, Tensor)> {
        let (beta1, beta2) = self.rule.betas;
        let mean = blend(Some(mean), beta1, grad, 1.0 - beta1)?;
        Ok((mean, blend(Some(square), beta2, &grad.sqr()?, 1.0 - beta2)?))
    }
    /// The next value.
    fn value(&self, value: &Tensor, mean: &Tensor, square: &Tensor) -> Result<Tensor> {
        let (filled1, filled2) = self.filled();
        let divisor = square.sqrt()?.affine(1.0 / filled2.sqrt(), self.rule.eps)?;
        let change = mean.div(&divisor)?.mul_scalar(self.rule.lr / filled1)?;
        value.mul_scalar(self.shrink)?.sub(&change)
    }
}

impl CustomOp for FusedStep {
    fn name(&self) -> &'static str {
        "adam"
    }
    fn infer(&self, inputs: &[(&Layout, DType)]) -> Result<Meta> {
        let (value, dtype) = inputs[0];
        if let Some((other, _)) = inputs.iter().find(|(layout, _)| layout.shape() != value.shape()) {
            let why = "a parameter, its gradient and its averages have one shape";
            return Err(Error::shapes("adam", value.shape(), other.shape(), why));
        }
        if let Some(&(_, other)) = inputs.iter().find(|(_, other)| *other != dtype) {
            return Err(Error::dtypes("adam", dtype, other));
        }
        Ok(Meta { shape: [&[3], value.dims()].concat().into(), dtype })
    }
    fn cpu(&self, inputs: &[View<'_>], out: &Meta) -> Result<Option<Buffer>> {
        let (beta1, beta2) = self.rule.betas;
        let (filled1, filled2) = self.filled();
        let step = AdamStep {
            shrink: self.shrink as f32,
            betas: [beta1, beta2].map(|beta| [beta as f32, (1.0 - beta) as f32]),
            rate: (self.rule.lr / filled1) as f32,
            root: (1.0 / filled2.sqrt()) as f32,
            eps: self.rule.eps as f32,
        };
        adam(step, inputs, out)
    }
    fn decompose(&self, inputs: &[&Tensor]) -> Option<Result<Tensor>> {
        let &[value, grad, mean, square] = inputs else { return None };
        let next = || {
            let (mean, square) = self.averages(grad, mean, square)?;
            Tensor::stack(&[&self.value(value, &mean, &square)?, &mean, &square], 0)
        };
        Some(next())
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
        self.advance(1.0, value, &decayed(grad, value, self.weight_decay)?, slots, step)
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
        self.plain().advance(1.0 - self.lr * self.weight_decay, value, grad, slots, step)
    }
}
