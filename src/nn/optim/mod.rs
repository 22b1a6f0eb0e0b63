//! Optimisers and learning-rate schedules, with PyTorch's names, defaults and order of operations.
//!
//! ```
//! use votive::{Device, Tensor, nn::{Parameter, optim::{AdamW, Optimizer, Schedule, Scheduler}}};
//! let w = Parameter::new(Tensor::new([3.0f32, -2.0], &Device::cpu())?);
//! let mut optimizer = Optimizer::new(vec![w.clone()], AdamW { lr: 0.1, ..AdamW::default() })?;
//! let mut scheduler = Scheduler::new(Schedule::cosine(100).after_warmup(10), &mut optimizer);
//! for _ in 0..110 {
//!     let loss = w.get().sqr()?.sum(..)?;
//!     optimizer.step(&loss.backward()?)?;
//!     scheduler.step(&mut optimizer);
//! }
//! assert!(w.get().to_vec_sync::<f32>()?.iter().all(|v| v.abs() < 0.1));
//! # Ok::<(), votive::Error>(())
//! ```

mod adam;
mod lion;
mod rmsprop;
mod schedule;
mod sgd;

pub use adam::{Adam, AdamW};
pub use lion::Lion;
pub use rmsprop::RmsProp;
pub use schedule::{Schedule, Scheduler};
pub use sgd::Sgd;

use super::{Parameter, StateDict};
use crate::{
    autograd::{Gradients, no_grad},
    error::{Error, Result},
    tensor::Tensor,
};

/// How one parameter is updated: the hyperparameters of an optimiser. Implement it for an optimiser of your own.
pub trait Rule: Clone {
    /// Names of the tensors kept for each parameter.
    const SLOTS: &'static [&'static str];
    /// The learning rate.
    fn learning_rate(&self) -> f64;
    /// Changes the learning rate.
    fn set_learning_rate(&mut self, lr: f64);
    /// Are all numbers in their ranges?
    ///
    /// # Errors
    /// When one is not.
    fn check(&self) -> Result<()>;
    /// The parameter's next value. `slots` are `None` at its first step, which has the number 1.
    ///
    /// # Errors
    /// When an operation fails.
    fn update(&self, value: &Tensor, grad: &Tensor, slots: &mut [Option<Tensor>], step: u64) -> Result<Tensor>;
}

/// Parameters with what is kept for them, updated by a [`Rule`]. Groups of parameters may have rules of their own.
pub struct Optimizer<R> {
    groups: Vec<Group<R>>,
}

struct Group<R> {
    rule: R,
    entries: Vec<Entry>,
}

struct Entry {
    parameter: Parameter,
    slots: Vec<Option<Tensor>>,
    steps: u64,
}

impl<R: Rule> Optimizer<R> {
    /// An optimiser of one group of parameters.
    ///
    /// # Errors
    /// When a hyperparameter is out of range, or a parameter comes twice.
    pub fn new(parameters: Vec<Parameter>, rule: R) -> Result<Self> {
        let mut optimizer = Self { groups: Vec::new() };
        optimizer.add_group(parameters, rule)?;
        Ok(optimizer)
    }
    /// Adds parameters with a rule of their own: another learning rate, no weight decay.
    ///
    /// # Errors
    /// When a hyperparameter is out of range, or a parameter comes twice.
    pub fn add_group(&mut self, parameters: Vec<Parameter>, rule: R) -> Result<()> {
        rule.check()?;
        let mut entries: Vec<Entry> = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let held = self.groups.iter().flat_map(|group| &group.entries).chain(&entries);
            if held.into_iter().any(|entry| entry.parameter.same(&parameter)) {
                return Err(Error::argument("optimizer", format!("{parameter:?} is among the parameters twice")));
            }
            entries.push(Entry { parameter, slots: vec![None; R::SLOTS.len()], steps: 0 });
        }
        self.groups.push(Group { rule, entries });
        Ok(())
    }
    /// Updates every parameter that has a gradient.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn step(&mut self, gradients: &Gradients) -> Result<()> {
        no_grad(|| {
            for Group { rule, entries } in &mut self.groups {
                for entry in entries {
                    let value = entry.parameter.get();
                    let Some(grad) = gradients.get(&value) else { continue };
                    entry.steps += 1;
                    let next = rule.update(&value.detach(), grad, &mut entry.slots, entry.steps)?;
                    entry.parameter.set(&next)?;
                }
            }
            Ok(())
        })
    }
    /// [`Tensor::backward`] and [`Optimizer::step`].
    ///
    /// # Errors
    /// As either.
    pub fn backward_step(&mut self, loss: &Tensor) -> Result<()> {
        self.step(&loss.backward()?)
    }
    /// The rule of each group.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &R> {
        self.groups.iter().map(|group| &group.rule)
    }
    /// The rules, to be changed between steps.
    pub fn rules_mut(&mut self) -> impl ExactSizeIterator<Item = &mut R> {
        self.groups.iter_mut().map(|group| &mut group.rule)
    }
    /// Changes the learning rate of all groups.
    pub fn set_learning_rate(&mut self, lr: f64) {
        self.rules_mut().for_each(|rule| rule.set_learning_rate(lr));
    }
    /// What goes on with [`Optimizer::load_state`] exactly where it stopped: kept tensors as `<i>.<slot>`, steps, learning
    /// rates; parameters are counted through all groups.
    pub fn state(&self) -> StateDict {
        let mut state = StateDict::default();
        for (i, entry) in self.groups.iter().flat_map(|group| &group.entries).enumerate() {
            state.values.insert(format!("{i}.steps"), entry.steps.to_string());
            for (slot, name) in entry.slots.iter().zip(R::SLOTS) {
                if let Some(tensor) = slot {
                    state.tensors.insert(format!("{i}.{name}"), tensor.clone());
                }
            }
        }
        for (i, rule) in self.rules().enumerate() {
            state.values.insert(format!("group{i}.lr"), rule.learning_rate().to_string());
        }
        state
    }
    /// Goes on from a saved state of an optimiser with the same groups of parameters.
    ///
    /// # Errors
    /// When the state is of other parameters or another optimiser. Nothing is changed then.
    pub fn load_state(&mut self, state: &StateDict) -> Result<()> {
        let mut loaded = Vec::new();
        let entries = self.groups.iter().flat_map(|group| &group.entries);
        for (i, entry) in entries.enumerate() {
            let held = entry.parameter.get();
            let mut slots = Vec::new();
            for name in R::SLOTS {
                let name = format!("{i}.{name}");
                let slot = state.tensors.get(&name);
                if let Some(slot) = slot.filter(|slot| slot.shape() != held.shape() || slot.dtype() != held.dtype()) {
                    let found = format!("{} {}", slot.shape(), slot.dtype());
                    let message = format!("is {found} in the state, its parameter {} {}", held.shape(), held.dtype());
                    return Err(Error::weight(name, message));
                }
                slots.push(slot.cloned());
            }
            loaded.push((slots, state.value(&format!("{i}.steps"))?));
        }
        let known = |name: &str| {
            let (i, slot) = name.split_once('.')?;
            let i = i.parse::<usize>().ok()?;
            (i < loaded.len() && R::SLOTS.contains(&slot)).then_some(())
        };
        if let Some(name) = state.tensors.keys().find(|name| known(name).is_none()) {
            return Err(Error::weight(name, "is not part of this optimiser's state"));
        }
        let groups = 0..self.groups.len();
        let rates = groups.map(|i| state.value(&format!("group{i}.lr"))).collect::<Result<Vec<f64>>>()?;
        self.rules_mut().zip(rates).for_each(|(rule, lr)| rule.set_learning_rate(lr));
        let entries = self.groups.iter_mut().flat_map(|group| &mut group.entries);
        for (entry, (slots, steps)) in entries.zip(loaded) {
            (entry.slots, entry.steps) = (slots, steps);
        }
        Ok(())
    }
}

/// An error unless `ok`.
fn require(ok: bool, rule: &'static str, name: &str, value: f64) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::argument(rule, format!("{name} {value} is out of range"))) }
}

/// `old * factor + new * share`, of zeros at first: a running average.
fn blend(old: Option<&Tensor>, factor: f64, new: &Tensor, share: f64) -> Result<Tensor> {
    let new = new.mul_scalar(share)?;
    match old {
        Some(old) => old.mul_scalar(factor)?.add(&new),
        None => Ok(new),
    }
}

/// The gradient with weight decay in it: that of the loss plus half the squared norm times `decay`.
fn decayed(grad: &Tensor, value: &Tensor, decay: f64) -> Result<Tensor> {
    if decay == 0.0 { Ok(grad.clone()) } else { grad.add(&value.mul_scalar(decay)?) }
}
