//! Recurrent layers, with PyTorch's names of weights and order of gates.

use super::{Dropout, Init, Module, Parameter, Weights};
use crate::{
    error::{Error, Result},
    tensor::Tensor,
};

/// How recurrent layers are built; the defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentOptions {
    /// Layers, each reading what the one before gives.
    pub layers: usize,
    /// Has biases.
    pub bias: bool,
    /// Sequences are `[batch, time, ..]` rather than `[time, batch, ..]`.
    pub batch_first: bool,
    /// Dropped between layers while training.
    pub dropout: f64,
    /// Reads backward too: results are of twice the size.
    pub bidirectional: bool,
}

impl Default for RecurrentOptions {
    fn default() -> Self {
        Self { layers: 1, bias: true, batch_first: false, dropout: 0.0, bidirectional: false }
    }
}

/// Layers and directions of cells that differ only in their step.
#[derive(Clone)]
struct Stack {
    /// Of each layer, forward and then backward.
    cells: Vec<Cell>,
    hidden: usize,
    dropout: Dropout,
    options: RecurrentOptions,
}

/// The weights of one layer and direction.
#[derive(Clone)]
struct Cell {
    /// `[gates * hidden, inputs]`
    input: Parameter,
    /// `[gates * hidden, hidden]`
    hidden: Parameter,
    biases: Option<(Parameter, Parameter)>,
}

/// One step: the projected input `[batch, gates * hidden]`, the projected last hidden state and the last states to the next
/// states, the first of which is the result.
type Step<'a> = &'a dyn Fn(&Tensor, &Tensor, &[Tensor]) -> Result<Vec<Tensor>>;

impl Stack {
    async fn load(
        weights: &Weights,
        (inputs, hidden, gates): (usize, usize, usize),
        options: RecurrentOptions,
    ) -> Result<Self> {
        if options.layers == 0 || hidden == 0 {
            let message = format!("{} layers of size {hidden}", options.layers);
            return Err(Error::argument("recurrent", message));
        }
        let directions = 1 + usize::from(options.bidirectional);
        let init = Init::fan_in_uniform(hidden);
        let mut cells = Vec::new();
        for layer in 0..options.layers {
            let inputs = if layer == 0 { inputs } else { directions * hidden };
            for suffix in ["", "_reverse"].into_iter().take(directions) {
                let name = |kind: &str| format!("{kind}_l{layer}{suffix}");
                let rows = gates * hidden;
                let input = weights.parameter(&name("weight_ih"), [rows, inputs], init).await?;
                let hidden = weights.parameter(&name("weight_hh"), [rows, hidden], init).await?;
                let biases = if options.bias {
                    let input = weights.parameter_f32(&name("bias_ih"), [rows], init).await?;
                    Some((input, weights.parameter_f32(&name("bias_hh"), [rows], init).await?))
                } else {
                    None
                };
                cells.push(Cell { input, hidden, biases });
            }
        }
        Ok(Self { cells, hidden, dropout: Dropout::new(options.dropout)?, options })
    }

    /// Runs all layers over `x`, from `states` (each `[layers * directions, batch, hidden]`) or zeros; gives the results
    /// of the last layer and the last states.
    fn run(
        &self,
        x: &Tensor,
        states: Option<&[&Tensor]>,
        count: usize,
        training: bool,
        step: Step<'_>,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        const OP: &str = "recurrent";
        let batched = x.rank() == 3;
        if !batched && x.rank() != 2 {
            let message = format!("input {} is neither [time, batch, size] nor [time, size]", x.shape());
            return Err(Error::shape(OP, message));
        }
        let flip = batched && self.options.batch_first;
        let mut x = match batched {
            true if flip => x.transpose(0, 1)?,
            true => x.clone(),
            false => x.unsqueeze(1)?,
        };
        let (time, batch, _) = x.dims3()?;
        if time == 0 {
            return Err(Error::shape(OP, "a sequence of no steps"));
        }
        let shape = [self.cells.len(), batch, self.hidden];
        let first = match states {
            None => vec![Tensor::zeros(shape, x.dtype(), x.device())?; count],
            Some(given) => given.iter().map(|s| self.state(s, batched, shape)).collect::<Result<Vec<_>>>()?,
        };
        let directions = 1 + usize::from(self.options.bidirectional);
        let mut last: Vec<Vec<Tensor>> = vec![Vec::new(); count];
        for (layer, cells) in self.cells.chunks(directions).enumerate() {
            if layer > 0 {
                x = self.dropout.forward_t(&x, training)?;
            }
            let mut outputs = Vec::with_capacity(directions);
            for (direction, cell) in cells.iter().enumerate() {
                let at = layer * directions + direction;
                let start = first.iter().map(|s| s.select(0, at)).collect::<Result<Vec<_>>>()?;
                let (out, end) = cell.run(&x, start, direction == 1, step)?;
                outputs.push(out);
                last.iter_mut().zip(end).for_each(|(list, state)| list.push(state));
            }
            x = match &outputs[..] {
                [only] => only.clone(),
                both => Tensor::cat(&both.iter().collect::<Vec<_>>(), -1)?,
            };
        }
        let last = last.iter().map(|list| Tensor::stack(&list.iter().collect::<Vec<_>>(), 0));
        let mut last = last.collect::<Result<Vec<_>>>()?;
        if !batched {
            x = x.squeeze(1)?;
            last = last.iter().map(|s| s.squeeze(1)).collect::<Result<_>>()?;
        }
        Ok((if flip { x.transpose(0, 1)? } else { x }, last))
    }

    /// A state given by the user, checked.
    fn state(&self, state: &Tensor, batched: bool, shape: [usize; 3]) -> Result<Tensor> {
        let state = if batched { state.clone() } else { state.unsqueeze(1)? };
        if state.dims() == shape {
            return Ok(state);
        }
        let message = format!("a state {} where layers, batch and size are {shape:?}", state.shape());
        Err(Error::shape("recurrent", message))
    }
}

impl Cell {
    /// `[time, batch, inputs]` → `[time, batch, hidden]` and the last states.
    fn run(
        &self,
        x: &Tensor,
        mut states: Vec<Tensor>,
        backward: bool,
        step: Step<'_>,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let biases = self.biases.as_ref().map(|(input, hidden)| (input.get(), hidden.get()));
        let biases = biases.as_ref();
        let weight = self.hidden.get();
        // All steps' inputs in one product.
        let projected = x.linear(&self.input.get(), biases.map(|b| &b.0))?;
        let mut steps = projected.unbind(0)?;
        if backward {
            steps.reverse();
        }
        let mut outputs = Vec::with_capacity(steps.len());
        for input in &steps {
            let hidden = states[0].linear(&weight, biases.map(|b| &b.1))?;
            states = step(input, &hidden, &states)?;
            outputs.push(states[0].clone());
        }
        if backward {
            outputs.reverse();
        }
        Ok((Tensor::stack(&outputs.iter().collect::<Vec<_>>(), 0)?, states))
    }
}

/// The activation of [`Rnn`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nonlinearity {
    /// `tanh`
    #[default]
    Tanh,
    /// `max(x, 0)`
    Relu,
}

/// Elman's recurrent network: `h = tanh(W_ih x + b_ih + W_hh h + b_hh)`. Weights are called `weight_ih_l0`, `weight_hh_l0`,
/// `bias_ih_l0`, `bias_hh_l0`, `weight_ih_l0_reverse` and so on, as in PyTorch.
///
/// ```
/// use votive::{DType, Device, Tensor, nn::{Nonlinearity, Parameters, RecurrentOptions, Rnn, Weights}};
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let options = RecurrentOptions { layers: 2, batch_first: true, bidirectional: true, ..Default::default() };
/// let weights = Weights::from_parameters(&parameters, &cpu);
/// let rnn = votive::block_on(Rnn::load(&weights, 8, 16, Nonlinearity::Tanh, options))?;
/// let x = Tensor::zeros([3, 5, 8], DType::F32, &cpu)?; // batch, time, size
/// let (out, hidden) = rnn.forward_t(&x, None, false)?;
/// assert_eq!((out.dims(), hidden.dims()), (&[3, 5, 32][..], &[4, 3, 16][..]));
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct Rnn {
    stack: Stack,
    nonlinearity: Nonlinearity,
}

/// A gated recurrent unit (Cho et al. 2014), with gates reset, update, new, as PyTorch orders them. Names of weights: see
/// [`Rnn`].
///
/// ```
/// use votive::{DType, Device, Tensor, nn::{Gru, Parameters, Weights}};
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let gru = votive::block_on(Gru::load(&Weights::from_parameters(&parameters, &cpu), 8, 16, Default::default()))?;
/// let (out, hidden) = gru.forward(&Tensor::zeros([5, 3, 8], DType::F32, &cpu)?, None)?; // time, batch, size
/// assert_eq!((out.dims(), hidden.dims()), (&[5, 3, 16][..], &[1, 3, 16][..]));
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct Gru(Stack);

/// Long short-term memory (Hochreiter & Schmidhuber 1997), with gates input, forget, cell, output, as PyTorch orders them.
/// Names of weights: see [`Rnn`].
///
/// ```
/// use votive::{DType, Device, Tensor, nn::{Lstm, Parameters, Weights}};
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let lstm = votive::block_on(Lstm::load(&Weights::from_parameters(&parameters, &cpu), 8, 16, Default::default()))?;
/// let x = Tensor::zeros([5, 3, 8], DType::F32, &cpu)?; // time, batch, size
/// let (out, (hidden, cell)) = lstm.forward(&x, None)?;
/// let (next, _) = lstm.forward(&x, Some((&hidden, &cell)))?;
/// assert_eq!((out.dims(), next.dims(), cell.dims()), (&[5, 3, 16][..], &[5, 3, 16][..], &[1, 3, 16][..]));
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct Lstm(Stack);

impl Rnn {
    /// Finds the weights under the prefix of `weights`. New ones are uniform between `±1/sqrt(hidden)`, as PyTorch's.
    ///
    /// # Errors
    /// When one is missing or of another shape, or there are no layers.
    pub async fn load(
        weights: &Weights,
        inputs: usize,
        hidden: usize,
        nonlinearity: Nonlinearity,
        options: RecurrentOptions,
    ) -> Result<Self> {
        Ok(Self { stack: Stack::load(weights, (inputs, hidden, 1), options).await?, nonlinearity })
    }
    /// A sequence `[time, batch, inputs]` (or without batch; or batch first, if so built) and a state
    /// `[layers * directions, batch, hidden]` (zeros when absent) to the results `[time, batch, directions * hidden]` and the
    /// last state.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        self.forward_t(x, state, false)
    }
    /// [`Rnn::forward`], with dropout between layers when `training`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(&self, x: &Tensor, state: Option<&Tensor>, training: bool) -> Result<(Tensor, Tensor)> {
        let step = |input: &Tensor, hidden: &Tensor, _: &[Tensor]| {
            let sum = input.add(hidden)?;
            Ok(vec![match self.nonlinearity {
                Nonlinearity::Tanh => sum.tanh()?,
                Nonlinearity::Relu => sum.relu()?,
            }])
        };
        one(self.stack.run(x, state.as_ref().map(std::slice::from_ref), 1, training, &step)?)
    }
}

impl Gru {
    /// Finds the weights under the prefix of `weights`. New ones are uniform between `±1/sqrt(hidden)`, as PyTorch's.
    ///
    /// # Errors
    /// When one is missing or of another shape, or there are no layers.
    pub async fn load(weights: &Weights, inputs: usize, hidden: usize, options: RecurrentOptions) -> Result<Self> {
        Ok(Self(Stack::load(weights, (inputs, hidden, 3), options).await?))
    }
    /// As [`Rnn::forward`].
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        self.forward_t(x, state, false)
    }
    /// As [`Rnn::forward_t`].
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(&self, x: &Tensor, state: Option<&Tensor>, training: bool) -> Result<(Tensor, Tensor)> {
        let step = |input: &Tensor, hidden: &Tensor, states: &[Tensor]| {
            let size = self.0.hidden;
            let gates = input.narrow(-1, 0, 2 * size)?.add(&hidden.narrow(-1, 0, 2 * size)?)?.sigmoid()?;
            let (reset, update) = (gates.narrow(-1, 0, size)?, gates.narrow(-1, size, size)?);
            let part = |x: &Tensor| x.narrow(-1, 2 * size, size);
            let new = part(input)?.add(&reset.mul(&part(hidden)?)?)?.tanh()?;
            // (1 - update) * new + update * last
            Ok(vec![new.add(&update.mul(&states[0].sub(&new)?)?)?])
        };
        one(self.0.run(x, state.as_ref().map(std::slice::from_ref), 1, training, &step)?)
    }
}

impl Lstm {
    /// Finds the weights under the prefix of `weights`. New ones are uniform between `±1/sqrt(hidden)`, as PyTorch's.
    ///
    /// # Errors
    /// When one is missing or of another shape, or there are no layers.
    pub async fn load(weights: &Weights, inputs: usize, hidden: usize, options: RecurrentOptions) -> Result<Self> {
        Ok(Self(Stack::load(weights, (inputs, hidden, 4), options).await?))
    }
    /// As [`Rnn::forward`], with the states of hidden values and of cells.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, state: Option<(&Tensor, &Tensor)>) -> Result<(Tensor, (Tensor, Tensor))> {
        self.forward_t(x, state, false)
    }
    /// As [`Rnn::forward_t`], with the states of hidden values and of cells.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(
        &self,
        x: &Tensor,
        state: Option<(&Tensor, &Tensor)>,
        training: bool,
    ) -> Result<(Tensor, (Tensor, Tensor))> {
        let step = |input: &Tensor, hidden: &Tensor, states: &[Tensor]| {
            let size = self.0.hidden;
            let sum = input.add(hidden)?;
            let gate = |i: usize| sum.narrow(-1, i * size, size);
            let kept = gate(1)?.sigmoid()?.mul(&states[1])?;
            let cell = kept.add(&gate(0)?.sigmoid()?.mul(&gate(2)?.tanh()?)?)?;
            Ok(vec![gate(3)?.sigmoid()?.mul(&cell.tanh()?)?, cell])
        };
        let states = state.map(|(hidden, cell)| [hidden, cell]);
        let (out, mut last) = self.0.run(x, states.as_ref().map(|s| &s[..]), 2, training, &step)?;
        let (hidden, cell) = (last.remove(0), last.remove(0));
        Ok((out, (hidden, cell)))
    }
}

/// The results with their only state.
fn one((out, mut last): (Tensor, Vec<Tensor>)) -> Result<(Tensor, Tensor)> {
    Ok((out, last.remove(0)))
}
