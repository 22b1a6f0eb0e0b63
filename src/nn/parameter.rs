//! Trainable tensors, and a store of them by name.

use super::{Init, StateDict};
use crate::{
    autograd::Node,
    device::Device,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
    tensor::{Generator, Tensor},
};
use indexmap::IndexMap;
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// A tensor of a model: shared by all clones, replaced by training. Trainable ones are leaves that gradients are computed
/// of, under the same identity before and after [`Parameter::set`]; frozen ones (weights that are only used, running
/// statistics, quantized weights) record nothing.
///
/// ```
/// use votive::{Device, Tensor, nn::Parameter};
/// let weight = Parameter::new(Tensor::new([1.0f32, 2.0], &Device::cpu())?);
/// let gradients = weight.get().sqr()?.sum(..)?.backward()?;
/// let step = gradients.get(&weight.get()).unwrap().mul_scalar(0.1)?;
/// weight.set(&weight.get().sub(&step)?)?;
/// assert_eq!(weight.get().to_vec_sync::<f32>()?, [0.8, 1.6]);
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct Parameter(Arc<Cell>);

struct Cell {
    /// With `leaf` as its node when trainable, else without one.
    value: RwLock<Tensor>,
    leaf: Arc<Node>,
}

impl Parameter {
    /// A trainable parameter of these values. Integer and quantized tensors have no gradients and stay frozen.
    pub fn new(value: Tensor) -> Self {
        let parameter = Self::frozen(value);
        parameter.set_trainable(true);
        parameter
    }
    /// A parameter that is not trained.
    pub fn frozen(value: Tensor) -> Self {
        Self(Arc::new(Cell { value: RwLock::new(value.detach()), leaf: Node::leaf() }))
    }
    /// The tensor as it is now: a leaf when trainable.
    pub fn get(&self) -> Tensor {
        self.0.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Replaces the values.
    ///
    /// # Errors
    /// When shape or dtype differ or the tensor is on another device.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        let mut held = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        if value.shape() != held.shape() {
            return Err(Error::shapes("set", held.shape(), value.shape(), "a parameter keeps its shape"));
        }
        if value.dtype() != held.dtype() {
            return Err(Error::dtypes("set", held.dtype(), value.dtype()));
        }
        if !value.device().same(held.device()) {
            let message = format!("a parameter on {} given a tensor on {}", held.device(), value.device());
            return Err(Error::Device { op: "set", message });
        }
        *held = if held.is_tracked() { value.with_node(self.0.leaf.clone()) } else { value.detach() };
        Ok(())
    }
    /// Is it trained?
    pub fn is_trainable(&self) -> bool {
        self.0.value.read().unwrap_or_else(PoisonError::into_inner).is_tracked()
    }
    /// Freezes it, or has it trained (again). Integer and quantized tensors stay frozen.
    pub fn set_trainable(&self, on: bool) {
        let mut held = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        *held = if on && held.dtype().is_float() { held.with_node(self.0.leaf.clone()) } else { held.detach() };
    }
    /// Are both the same parameter (not merely equal)?
    pub fn same(&self, other: &Parameter) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Frozen.
impl From<Tensor> for Parameter {
    fn from(value: Tensor) -> Self {
        Self::frozen(value)
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_trainable() { "trainable" } else { "frozen" };
        let value = self.get();
        write!(f, "Parameter({kind}, {} {})", value.shape(), value.dtype())
    }
}

/// The parameters and running statistics of a model by name, in the order in which they were made: PyTorch's state dict.
/// Clones share them. Layers made from [`Weights::from_parameters`](super::Weights::from_parameters) find theirs here, or
/// create them with their default initialisers.
///
/// ```
/// use votive::{Device, nn::{Linear, Parameters, Weights}};
/// let parameters = Parameters::seeded(0);
/// let weights = Weights::from_parameters(&parameters, &Device::cpu());
/// let layer = votive::block_on(Linear::load(&weights.pp("head"), 4, 2, true))?;
/// assert_eq!(parameters.names(), ["head.weight", "head.bias"]);
/// assert_eq!(parameters.elements(), 4 * 2 + 2);
/// assert!(layer.weight().is_tracked());
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Parameters(Arc<Store>);

#[derive(Default)]
struct Store {
    entries: RwLock<IndexMap<String, Parameter>>,
    /// Of initial values; the global one when absent.
    generator: Option<Generator>,
}

impl Parameters {
    /// An empty store; initial values are drawn from [`Generator::global`].
    pub fn new() -> Self {
        Self::default()
    }
    /// An empty store whose initial values follow from a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Store { entries: RwLock::default(), generator: Some(Generator::new(seed)) }))
    }
    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<Parameter> {
        self.read(|entries| entries.get(name).cloned())
    }
    /// Puts a parameter under a name; gives the one that was there before.
    pub fn insert(&self, name: impl Into<String>, parameter: Parameter) -> Option<Parameter> {
        self.0.entries.write().unwrap_or_else(PoisonError::into_inner).insert(name.into(), parameter)
    }
    /// Takes a parameter out.
    pub fn remove(&self, name: &str) -> Option<Parameter> {
        self.0.entries.write().unwrap_or_else(PoisonError::into_inner).shift_remove(name)
    }
    /// All names.
    pub fn names(&self) -> Vec<String> {
        self.read(|entries| entries.keys().cloned().collect())
    }
    /// All names with their parameters.
    pub fn entries(&self) -> Vec<(String, Parameter)> {
        self.read(|entries| entries.iter().map(|(name, p)| (name.clone(), p.clone())).collect())
    }
    /// Those that are trained: what an optimiser is given. One that stands under two names counts once.
    pub fn trainable(&self) -> Vec<Parameter> {
        self.trainable_if(|_| true)
    }
    /// Those that are trained and whose names `choose` picks: for groups of parameters, as "no weight decay for biases".
    pub fn trainable_if(&self, choose: impl Fn(&str) -> bool) -> Vec<Parameter> {
        let mut chosen: Vec<Parameter> = Vec::new();
        for (name, parameter) in self.entries() {
            if parameter.is_trainable() && choose(&name) && !chosen.iter().any(|p| p.same(&parameter)) {
                chosen.push(parameter);
            }
        }
        chosen
    }
    /// Freezes, or has trained, those whose names `choose` picks.
    pub fn set_trainable(&self, on: bool, choose: impl Fn(&str) -> bool) {
        self.entries().iter().filter(|(name, _)| choose(name)).for_each(|(_, p)| p.set_trainable(on));
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.read(IndexMap::len)
    }
    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Numbers in all of them together.
    pub fn elements(&self) -> usize {
        self.read(|entries| entries.values().map(|p| p.get().elements()).sum())
    }
    /// All values by name, to be saved or given to [`Parameters::load_state`].
    pub fn state(&self) -> StateDict {
        let mut state = StateDict::default();
        for (name, parameter) in self.entries() {
            state.tensors.insert(name, parameter.get().detach());
        }
        state
    }
    /// Takes over the values of a state with the same names and shapes; floats are converted to each parameter's dtype.
    ///
    /// # Errors
    /// When a name is missing or unexpected, or a shape differs. Nothing is changed then.
    pub fn load_state(&self, state: &StateDict) -> Result<()> {
        let entries = self.entries();
        if let Some(name) = state.tensors.keys().find(|name| self.get(name).is_none()) {
            return Err(Error::weight(name, "is in the state, and no parameter has this name"));
        }
        let mut values = Vec::with_capacity(entries.len());
        for (name, parameter) in &entries {
            let held = parameter.get();
            let value = state.tensors.get(name).ok_or_else(|| Error::weight(name, "is not in the state"))?;
            if value.shape() != held.shape() {
                let message = format!("has shape {} in the state, {} in the model", value.shape(), held.shape());
                return Err(Error::weight(name, message));
            }
            values.push(value.detach().to_dtype(held.dtype())?);
        }
        entries.iter().zip(&values).try_for_each(|((_, parameter), value)| parameter.set(value))
    }
    /// The parameter of that name and shape, made with `init` (f32) if there is none.
    pub(super) fn get_or_init(
        &self,
        name: &str,
        shape: &Shape,
        init: &Init,
        trainable: bool,
        device: &Device,
    ) -> Result<Parameter> {
        if let Some(found) = self.get(name) {
            return Ok(found);
        }
        let generator = self.0.generator.as_ref().unwrap_or(Generator::global());
        let parameter = Parameter::frozen(init.tensor(shape.clone(), DType::F32, device, generator)?);
        parameter.set_trainable(trainable);
        self.insert(name, parameter.clone());
        Ok(parameter)
    }
    fn read<T>(&self, f: impl FnOnce(&IndexMap<String, Parameter>) -> T) -> T {
        f(&self.0.entries.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries()).finish()
    }
}
