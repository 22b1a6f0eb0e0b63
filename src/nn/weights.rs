//! Weight lookup by name: in a checkpoint file, in memory, or among parameters that are made when missing.

use super::{Init, Parameter, Parameters};
use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    format::{Checkpoint, TensorInfo},
    shape::Shape,
    tensor::Tensor,
};
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// Where a model finds its weights: names under a prefix, read one at a time onto a device. Block formats stay quantized,
/// floats keep their dtype; the bytes read from a file are dropped as soon as the device has them.
///
/// From a checkpoint or tensors, layers get frozen parameters. From [`Parameters`], they get those, and what is missing is
/// created: for training.
#[derive(Clone)]
pub struct Weights {
    source: Source,
    prefix: String,
    device: Device,
    loaded: Rc<Cell<u64>>,
}

#[derive(Clone)]
enum Source {
    Checkpoint(Rc<Checkpoint>, Rc<RefCell<Arrivals>>),
    Tensors(Rc<HashMap<String, Tensor>>),
    /// Parameters, over weights that missing ones start from.
    Parameters(Parameters, Option<Rc<Weights>>),
}

/// Weights of a file that arrives in its own order, read before the model asks for them: those of which the like of another
/// layer was asked for. So a download is taken as it comes, whatever order its layers are in.
#[derive(Default)]
struct Arrivals {
    /// Kinds of weights that were asked for.
    kinds: HashSet<String>,
    /// Weights that were asked for, or are early.
    read: HashSet<String>,
    early: HashMap<String, Tensor>,
}

impl Arrivals {
    /// The name with all numbers replaced.
    fn kind(name: &str) -> String {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        name.split('.').map(|part| if is_number(part) { "#" } else { part }).collect::<Vec<_>>().join(".")
    }
    fn is_expected(&self, name: &str) -> bool {
        !self.read.contains(name) && self.kinds.contains(&Self::kind(name))
    }
    fn keep(&mut self, name: &str, tensor: Tensor) {
        self.read.insert(name.to_owned());
        self.early.insert(name.to_owned(), tensor);
    }
    /// The weight if it is early. Now it is asked for.
    fn take(&mut self, name: &str) -> Option<Tensor> {
        self.kinds.insert(Self::kind(name));
        self.read.insert(name.to_owned());
        self.early.remove(name)
    }
}

impl Weights {
    /// Weights of a checkpoint of any format.
    pub fn from_checkpoint(checkpoint: Rc<Checkpoint>, device: &Device) -> Self {
        Self::new(Source::Checkpoint(checkpoint, Rc::default()), device)
    }
    /// Weights in memory, already on `device`.
    pub fn from_tensors(tensors: HashMap<String, Tensor>, device: &Device) -> Self {
        Self::new(Source::Tensors(Rc::new(tensors)), device)
    }
    /// Parameters, trained or to be trained; those that a layer does not find are created by its default initialiser.
    pub fn from_parameters(parameters: &Parameters, device: &Device) -> Self {
        Self::new(Source::Parameters(parameters.clone(), None), device)
    }
    /// As [`Weights::from_parameters`], but parameters that are missing start with the values found in `base`, as f32, and
    /// those missing there too are created: for training a pretrained model further. Quantized weights stay frozen.
    pub fn from_parameters_over(parameters: &Parameters, base: &Weights) -> Self {
        Self::new(Source::Parameters(parameters.clone(), Some(Rc::new(base.clone()))), base.device())
    }
    fn new(source: Source, device: &Device) -> Self {
        Self { source, prefix: String::new(), device: device.clone(), loaded: Rc::new(Cell::new(0)) }
    }
    /// The same weights with `name` and a dot put before every name.
    pub fn pp(&self, name: &str) -> Self {
        Self { prefix: format!("{}{name}.", self.prefix), ..self.clone() }
    }
    /// Where weights are loaded to.
    pub fn device(&self) -> &Device {
        &self.device
    }
    /// Is there a weight of that name? One of a type that cannot be read counts: asking for it is an error, not an absence.
    pub fn contains(&self, name: &str) -> bool {
        let name = self.full(name);
        match &self.source {
            Source::Checkpoint(c, _) => c.info(&name).is_some() || c.unsupported().iter().any(|t| t.name == name),
            Source::Tensors(map) => map.contains_key(&name),
            Source::Parameters(store, base) => {
                store.get(&name).is_some() || base.as_ref().is_some_and(|base| base.contains(&name))
            }
        }
    }
    /// The weight's dtype, if it is there.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        Some(self.require(&self.full(name)).ok()?.1)
    }
    /// Bytes of all weights, whatever the prefix.
    pub fn total_bytes(&self) -> u64 {
        match &self.source {
            Source::Checkpoint(checkpoint, _) => checkpoint.tensors().map(|info| info.bytes as u64).sum(),
            Source::Tensors(map) => map.values().map(tensor_bytes).sum(),
            Source::Parameters(store, base) => match base {
                Some(base) => base.total_bytes(),
                None => store.entries().iter().map(|(_, p)| tensor_bytes(&p.get())).sum(),
            },
        }
    }
    /// Bytes of the weights read so far, through this and all its clones and prefixes.
    pub fn loaded_bytes(&self) -> u64 {
        self.loaded.get()
    }
    /// The weight in its own dtype: as it is now, if it is a parameter.
    ///
    /// # Errors
    /// [`Error::Weight`] if it is missing or of another shape.
    pub async fn get(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        let (name, wanted) = (self.full(name), shape.into());
        self.read(name, wanted).await
    }
    /// As [`Weights::get`], as f32: for norms, biases and other small weights.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub async fn get_f32(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        self.get(name, shape).await?.to_dtype(DType::F32)
    }
    /// The weight as a layer keeps it, in its own dtype: frozen from a checkpoint or tensors, shared from [`Parameters`],
    /// where `init` makes it if it is missing.
    ///
    /// # Errors
    /// As [`Weights::get`]; missing parameters are none.
    pub async fn parameter(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Parameter> {
        self.entry(name, shape.into(), init, true, false).await
    }
    /// As [`Weights::parameter`], as f32.
    ///
    /// # Errors
    /// As [`Weights::get`]; missing parameters are none.
    pub async fn parameter_f32(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Parameter> {
        self.entry(name, shape.into(), init, true, true).await
    }
    /// As [`Weights::parameter_f32`], for what is kept and saved with a model but not trained: running statistics.
    ///
    /// # Errors
    /// As [`Weights::get`]; missing buffers are none.
    pub async fn buffer(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Parameter> {
        self.entry(name, shape.into(), init, false, true).await
    }
    /// Are missing parameters made?
    pub(super) fn creates_missing(&self) -> bool {
        matches!(self.source, Source::Parameters(..))
    }
    async fn entry(&self, name: &str, shape: Shape, init: Init, trainable: bool, f32: bool) -> Result<Parameter> {
        let name = self.full(name);
        let Source::Parameters(store, base) = &self.source else {
            let tensor = self.read(name, shape).await?;
            return Ok(Parameter::frozen(if f32 { tensor.to_dtype(DType::F32)? } else { tensor }));
        };
        if let Some(base) = base.as_ref().filter(|base| store.get(&name).is_none() && base.contains(&name)) {
            let value = base.get(&name, shape.clone()).await?;
            let value = if value.dtype().is_float() || f32 { value.to_dtype(DType::F32)? } else { value };
            let parameter = Parameter::frozen(value);
            parameter.set_trainable(trainable);
            store.insert(&name, parameter);
        }
        let parameter = store.get_or_init(&name, &shape, &init, trainable, &self.device)?;
        let held = parameter.get();
        check_shape(&name, held.shape(), &shape)?;
        self.loaded.set(self.loaded.get() + tensor_bytes(&held));
        Ok(parameter)
    }
    async fn read(&self, name: String, wanted: Shape) -> Result<Tensor> {
        check_shape(&name, &self.require(&name)?.0, &wanted)?;
        let tensor = match &self.source {
            Source::Checkpoint(checkpoint, arrivals) => {
                let info = checkpoint.require(&name)?;
                for (before, info) in checkpoint.arriving_before(info) {
                    if arrivals.borrow().is_expected(before) {
                        let tensor = self.upload(checkpoint, before, info).await?;
                        arrivals.borrow_mut().keep(before, tensor);
                    }
                }
                let early = arrivals.borrow_mut().take(&name);
                return match early {
                    Some(tensor) => Ok(tensor),
                    None => self.upload(checkpoint, &name, info).await,
                };
            }
            Source::Tensors(map) => in_map(map, &name)?.clone(),
            Source::Parameters(store, base) => match (store.get(&name), base) {
                (None, Some(base)) => Box::pin(base.get(&name, wanted)).await?,
                (found, _) => found.ok_or_else(|| no_parameter(&name))?.get(),
            },
        };
        self.loaded.set(self.loaded.get() + tensor_bytes(&tensor));
        Ok(tensor)
    }
    /// Reads a weight of a file onto the device.
    async fn upload(&self, checkpoint: &Checkpoint, name: &str, info: &TensorInfo) -> Result<Tensor> {
        let (shape, dtype) = (info.shape.clone(), info.dtype);
        let tensor = match self.device.backend().begin_upload(dtype, &shape)?.filter(|_| info.encoding.is_none()) {
            Some(mut upload) => {
                checkpoint.pour(info, &mut *upload).await?;
                Tensor::from_storage(upload.finish()?, shape, dtype, &self.device)
            }
            None => Tensor::from_buffer(checkpoint.read(name).await?, dtype, shape, &self.device)?,
        };
        self.loaded.set(self.loaded.get() + tensor_bytes(&tensor));
        Ok(tensor)
    }
    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
    /// Shape and dtype, or an error that says why there is none.
    fn require(&self, full: &str) -> Result<(Shape, DType)> {
        let of = |t: &Tensor| (t.shape().clone(), t.dtype());
        match &self.source {
            Source::Checkpoint(checkpoint, _) => checkpoint.require(full).map(|info| (info.shape.clone(), info.dtype)),
            Source::Tensors(map) => in_map(map, full).map(of),
            Source::Parameters(store, base) => match (store.get(full), base) {
                (None, Some(base)) => base.require(&base.full(full)),
                (found, _) => found.map(|p| of(&p.get())).ok_or_else(|| no_parameter(full)),
            },
        }
    }
}

fn check_shape(name: &str, found: &Shape, wanted: &Shape) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::weight(name, format!("has shape {found}; the configuration asks for {wanted}")))
}

fn no_parameter(name: &str) -> Error {
    Error::weight(name, "is not among the parameters")
}

fn in_map<'a>(map: &'a HashMap<String, Tensor>, name: &str) -> Result<&'a Tensor> {
    map.get(name).ok_or_else(|| Error::weight(name, "is not among the tensors"))
}

fn tensor_bytes(tensor: &Tensor) -> u64 {
    tensor.dtype().bytes_for(tensor.shape().elements()).unwrap_or(0) as u64
}
