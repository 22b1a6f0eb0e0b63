//! Learning rates that change while training.

use super::{Optimizer, Rule};
use crate::{error::Result, nn::StateDict};
use std::f64::consts::PI;

/// The learning rate of each step, from the one that the optimiser was made with. Names are PyTorch's; steps count from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// As it is.
    #[default]
    Constant,
    /// From `start` times the rate to `end` times the rate, evenly in `steps` steps, and then that (`LinearLR`).
    Linear {
        /// Factor at first.
        start: f64,
        /// Factor from `steps` on.
        end: f64,
        /// How many steps.
        steps: u64,
    },
    /// Times `gamma` after every `size` steps (`StepLR`).
    Step {
        /// How many steps have the same rate.
        size: u64,
        /// Factor.
        gamma: f64,
    },
    /// Times `gamma` at each of these steps (`MultiStepLR`).
    MultiStep {
        /// At which steps.
        milestones: Vec<u64>,
        /// Factor.
        gamma: f64,
    },
    /// Times `gamma` after every step (`ExponentialLR`).
    Exponential {
        /// Factor.
        gamma: f64,
    },
    /// Half a cosine wave, down to `min` in `steps` steps, and up again after them (`CosineAnnealingLR`; Loshchilov & Hutter
    /// 2017).
    Cosine {
        /// How many steps down.
        steps: u64,
        /// The lowest rate.
        min: f64,
    },
    /// From 0 to the rate, evenly in `steps` steps, and then another schedule from its beginning.
    Warmup {
        /// How many steps.
        steps: u64,
        /// What comes then.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// [`Schedule::Cosine`] down to 0.
    pub fn cosine(steps: u64) -> Self {
        Self::Cosine { steps, min: 0.0 }
    }
    /// [`Schedule::Linear`] down to 0.
    pub fn linear(steps: u64) -> Self {
        Self::Linear { start: 1.0, end: 0.0, steps }
    }
    /// This, after a warm-up of so many steps.
    pub fn after_warmup(self, steps: u64) -> Self {
        Self::Warmup { steps, then: Box::new(self) }
    }
    /// The learning rate of a step.
    ///
    /// ```
    /// use votive::nn::optim::Schedule;
    /// let schedule = Schedule::cosine(100).after_warmup(10);
    /// let rates = [0, 5, 10, 60, 110].map(|step| (schedule.rate(0.1, step) * 1e6).round() / 1e6);
    /// assert_eq!(rates, [0.0, 0.05, 0.1, 0.05, 0.0]);
    /// ```
    pub fn rate(&self, base: f64, step: u64) -> f64 {
        let power = |gamma: f64, n: u64| gamma.powf(n as f64);
        match self {
            Self::Constant => base,
            Self::Linear { start, end, steps } => {
                let done = if *steps == 0 { 1.0 } else { step.min(*steps) as f64 / *steps as f64 };
                base * (start + (end - start) * done)
            }
            Self::Step { size, gamma } => base * power(*gamma, step / (*size).max(1)),
            Self::MultiStep { milestones, gamma } => {
                base * power(*gamma, milestones.iter().filter(|&&at| at <= step).count() as u64)
            }
            Self::Exponential { gamma } => base * power(*gamma, step),
            Self::Cosine { steps, min } => {
                let angle = PI * step as f64 / (*steps).max(1) as f64;
                min + (base - min) * (1.0 + angle.cos()) / 2.0
            }
            Self::Warmup { steps, .. } if step < *steps => base * step as f64 / *steps as f64,
            Self::Warmup { steps, then } => then.rate(base, step - steps),
        }
    }
}

/// Sets an optimiser's learning rates after each step, by a [`Schedule`].
#[derive(Clone, Debug)]
pub struct Scheduler {
    schedule: Schedule,
    /// The rate that each group began with.
    base: Vec<f64>,
    step: u64,
}

impl Scheduler {
    /// Takes the optimiser's rates as those that the schedule starts from, and sets those of the first step.
    pub fn new<R: Rule>(schedule: Schedule, optimizer: &mut Optimizer<R>) -> Self {
        let base = optimizer.rules().map(Rule::learning_rate).collect();
        let scheduler = Self { schedule, base, step: 0 };
        scheduler.set(optimizer);
        scheduler
    }
    /// To be called after each step of the optimiser: sets the rates of the next.
    pub fn step<R: Rule>(&mut self, optimizer: &mut Optimizer<R>) {
        self.step += 1;
        self.set(optimizer);
    }
    /// How many steps have been made.
    pub fn steps(&self) -> u64 {
        self.step
    }
    /// What [`Scheduler::load_state`] goes on from.
    pub fn state(&self) -> StateDict {
        let mut state = StateDict::default();
        state.values.insert("step".into(), self.step.to_string());
        for (i, base) in self.base.iter().enumerate() {
            state.values.insert(format!("base{i}"), base.to_string());
        }
        state
    }
    /// Goes on from a saved state. The optimiser's rates are part of its own state.
    ///
    /// # Errors
    /// When the state is not a schedule's, or of another number of groups.
    pub fn load_state(&mut self, state: &StateDict) -> Result<()> {
        let base = (0..self.base.len()).map(|i| state.value(&format!("base{i}"))).collect::<Result<_>>()?;
        (self.step, self.base) = (state.value("step")?, base);
        Ok(())
    }
    fn set<R: Rule>(&self, optimizer: &mut Optimizer<R>) {
        for (rule, &base) in optimizer.rules_mut().zip(&self.base) {
            rule.set_learning_rate(self.schedule.rate(base, self.step));
        }
    }
}
