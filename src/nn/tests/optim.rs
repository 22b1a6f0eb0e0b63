//! Optimisers and schedules against PyTorch's trajectories.

use super::{cpu, fails, golden};
use crate::{
    Result, Tensor,
    nn::{
        Parameter, StateDict,
        optim::{Adam, AdamW, Lion, Optimizer, RmsProp, Rule, Schedule, Scheduler, Sgd},
    },
};

/// The tiny network of the generator.
struct Net {
    golden: StateDict,
    weight: Parameter,
    bias: Parameter,
}

impl Net {
    fn new() -> Self {
        let golden = golden("optim");
        let start = |name: &str| Parameter::new(golden.tensors[&format!("start.{name}")].clone());
        let (weight, bias) = (start("weight"), start("bias"));
        Self { golden, weight, bias }
    }
    fn parameters(&self) -> Vec<Parameter> {
        vec![self.weight.clone(), self.bias.clone()]
    }
    fn loss(&self) -> Result<Tensor> {
        let out = self.golden.tensors["x"].linear(&self.weight.get(), Some(&self.bias.get()))?.tanh()?;
        out.sub(&self.golden.tensors["y"])?.sqr()?.mean(..)
    }
    fn values(&self) -> Result<Vec<f64>> {
        Ok([self.weight.get().to_vec_sync::<f64>()?, self.bias.get().to_vec_sync()?].concat())
    }
    /// In f64, PyTorch's trajectory is followed to rounding.
    fn follows<R: Rule>(
        &self,
        name: &str,
        mut optimizer: Optimizer<R>,
        mut scheduler: Option<Scheduler>,
    ) -> Result<()> {
        let wanted = self.golden.tensors[name].to_vec_sync::<f64>()?;
        for (step, wanted) in wanted.chunks(15).enumerate() {
            optimizer.backward_step(&self.loss()?)?;
            if let Some(scheduler) = &mut scheduler {
                scheduler.step(&mut optimizer);
            }
            for (found, wanted) in self.values()?.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-10, "{name}, step {step}: {found} instead of {wanted}");
            }
        }
        Ok(())
    }
}

fn follows(name: &str, rule: impl Rule) {
    let net = Net::new();
    let optimizer = Optimizer::new(net.parameters(), rule).unwrap();
    net.follows(name, optimizer, None).unwrap();
}

#[test]
fn optimisers_follow_pytorch() {
    follows("sgd", Sgd { lr: 0.1, ..Sgd::default() });
    follows("sgd_decay", Sgd { lr: 0.1, weight_decay: 0.1, ..Sgd::default() });
    let sgd = Sgd { lr: 0.05, weight_decay: 0.05, ..Sgd::default() };
    follows("sgd_momentum", Sgd { momentum: 0.9, dampening: 0.3, ..sgd });
    follows("sgd_nesterov", Sgd { momentum: 0.8, nesterov: true, ..sgd });
    follows("adam", Adam { lr: 0.02, ..Adam::default() });
    let betas = (0.8, 0.95);
    follows("adam_decay", Adam { lr: 0.02, betas, eps: 1e-3, weight_decay: 0.1, amsgrad: false });
    follows("adam_amsgrad", Adam { lr: 0.05, betas: (0.5, 0.6), amsgrad: true, ..Adam::default() });
    follows("adamw", AdamW { lr: 0.02, ..AdamW::default() });
    follows("adamw_decay", AdamW { lr: 0.05, betas, weight_decay: 0.3, ..AdamW::default() });
    follows("adamw_amsgrad", AdamW { lr: 0.05, betas: (0.5, 0.6), amsgrad: true, ..AdamW::default() });
    follows("rmsprop", RmsProp { lr: 0.02, ..RmsProp::default() });
    let rmsprop = RmsProp { lr: 0.01, ..RmsProp::default() };
    follows("rmsprop_momentum", RmsProp { alpha: 0.9, eps: 1e-4, momentum: 0.7, weight_decay: 0.1, ..rmsprop });
    follows("rmsprop_centered", RmsProp { alpha: 0.8, centered: true, momentum: 0.5, ..rmsprop });
    follows("lion", Lion { lr: 0.01, ..Lion::default() });
    follows("lion_decay", Lion { lr: 0.02, betas: (0.7, 0.9), weight_decay: 0.2 });
}

#[test]
fn groups_and_schedules_follow_pytorch() -> Result<()> {
    let net = Net::new();
    let rule = AdamW { lr: 0.02, weight_decay: 0.3, ..AdamW::default() };
    let mut optimizer = Optimizer::new(vec![net.weight.clone()], rule)?;
    optimizer.add_group(vec![net.bias.clone()], AdamW { lr: 0.1, weight_decay: 0.0, ..AdamW::default() })?;
    let scheduler = Scheduler::new(Schedule::Cosine { steps: 12, min: 0.001 }, &mut optimizer);
    net.follows("groups", optimizer, Some(scheduler))?;

    let cosine = Schedule::Cosine { steps: 20, min: 0.01 };
    for (name, schedule) in [
        ("linear", Schedule::Linear { start: 0.2, end: 0.9, steps: 12 }),
        ("step", Schedule::Step { size: 7, gamma: 0.3 }),
        ("multistep", Schedule::MultiStep { milestones: vec![3, 11, 12], gamma: 0.5 }),
        ("exponential", Schedule::Exponential { gamma: 0.85 }),
        ("cosine", cosine),
        ("warmup_cosine", Schedule::cosine(20).after_warmup(5)),
        ("warmup_linear", Schedule::linear(20).after_warmup(5)),
    ] {
        let wanted = net.golden.tensors[&format!("rates.{name}")].to_vec_sync::<f64>()?;
        for (step, wanted) in wanted.into_iter().enumerate() {
            let found = schedule.rate(0.1, step as u64);
            assert!((found - wanted).abs() < 1e-14, "{name}, step {step}: {found} instead of {wanted}");
        }
    }
    assert_eq!(Schedule::Constant.rate(0.1, 1000), 0.1);
    Ok(())
}

/// Trains 20 steps at once, and 7 and 13 with a file between: the same to the last bit.
fn resumes<R: Rule>(rule: R) -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let schedule = || Schedule::cosine(15).after_warmup(5);
    let start = |net: &Net| -> Result<_> {
        let mut optimizer = Optimizer::new(net.parameters(), rule.clone())?;
        let scheduler = Scheduler::new(schedule(), &mut optimizer);
        Ok((optimizer, scheduler))
    };
    let train = |net: &Net, optimizer: &mut Optimizer<R>, scheduler: &mut Scheduler, steps| -> Result<()> {
        for _ in 0..steps {
            optimizer.backward_step(&net.loss()?)?;
            scheduler.step(optimizer);
        }
        Ok(())
    };
    let whole = Net::new();
    let (mut optimizer, mut scheduler) = start(&whole)?;
    train(&whole, &mut optimizer, &mut scheduler, 20)?;

    let net = Net::new();
    let (mut optimizer, mut scheduler) = start(&net)?;
    train(&net, &mut optimizer, &mut scheduler, 7)?;
    let mut state = StateDict::default();
    state.tensors.insert("weight".into(), net.weight.get());
    state.tensors.insert("bias".into(), net.bias.get());
    state.put("optimizer", optimizer.state());
    state.put("schedule", scheduler.state());
    state.save(&path)?;

    let net = Net::new();
    let (mut optimizer, mut scheduler) = start(&net)?;
    let state = StateDict::load(&path, &cpu())?;
    net.weight.set(&state.tensors["weight"])?;
    net.bias.set(&state.tensors["bias"])?;
    optimizer.load_state(&state.take("optimizer"))?;
    scheduler.load_state(&state.take("schedule"))?;
    train(&net, &mut optimizer, &mut scheduler, 13)?;
    assert_eq!(net.values()?, whole.values()?);
    Ok(())
}

#[test]
fn training_goes_on_exactly_where_it_was_saved() -> Result<()> {
    resumes(Sgd { lr: 0.1, momentum: 0.9, dampening: 0.1, ..Sgd::default() })?;
    resumes(AdamW { lr: 0.05, amsgrad: true, ..AdamW::default() })?;
    resumes(RmsProp { centered: true, momentum: 0.5, ..RmsProp::default() })?;
    resumes(Lion { lr: 0.01, ..Lion::default() })
}

#[test]
fn what_is_wrong_is_said() -> Result<()> {
    let net = Net::new();
    let twice = vec![net.weight.clone(), net.weight.clone()];
    assert!(fails(Optimizer::new(twice, Sgd::default())).contains("twice"));
    assert!(fails(Optimizer::new(vec![], Sgd { lr: -1.0, ..Sgd::default() })).contains("lr -1"));
    assert!(fails(Optimizer::new(vec![], Sgd { nesterov: true, ..Sgd::default() })).contains("momentum"));
    assert!(fails(Optimizer::new(vec![], AdamW { betas: (0.9, 1.0), ..AdamW::default() })).contains("second beta 1"));
    let mut adam = Optimizer::new(net.parameters(), Adam::default())?;
    adam.backward_step(&net.loss()?)?;
    let mut other = Optimizer::new(vec![net.bias.clone()], Adam::default())?;
    let message = fails(other.load_state(&adam.state()));
    assert!(message.contains("0.exp_avg") && message.contains("[3, 4]"), "{message}");
    let mut sgd = Optimizer::new(net.parameters(), Sgd::default())?;
    assert!(fails(sgd.load_state(&adam.state())).contains("not part of this optimiser's state"));
    assert!(fails(adam.load_state(&StateDict::default())).contains("not in the state"));
    // A frozen parameter has no gradient and stays.
    net.bias.set_trainable(false);
    let before = net.bias.get().to_vec_sync::<f64>()?;
    sgd.backward_step(&net.loss()?)?;
    assert_eq!(net.bias.get().to_vec_sync::<f64>()?, before);
    Ok(())
}
