//! Weight lookup by name, over a checkpoint file or tensors in memory.

use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    format::Checkpoint,
    shape::Shape,
    tensor::Tensor,
};
use std::{cell::Cell, collections::HashMap, rc::Rc};

/// Where a model finds its weights: names under a prefix, read one at a time onto a device. Block formats stay quantized,
/// floats keep their dtype; the bytes read from a file are dropped as soon as the device has them.
#[derive(Clone)]
pub struct Weights {
    source: Source,
    prefix: String,
    device: Device,
    loaded: Rc<Cell<u64>>,
}

#[derive(Clone)]
enum Source {
    Checkpoint(Rc<Checkpoint>),
    Tensors(Rc<HashMap<String, Tensor>>),
}

impl Weights {
    /// Weights of a GGUF or safetensors checkpoint.
    pub fn from_checkpoint(checkpoint: Rc<Checkpoint>, device: &Device) -> Self {
        Self::new(Source::Checkpoint(checkpoint), device)
    }
    /// Weights in memory, already on `device`.
    pub fn from_tensors(tensors: HashMap<String, Tensor>, device: &Device) -> Self {
        Self::new(Source::Tensors(Rc::new(tensors)), device)
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
            Source::Checkpoint(c) => c.info(&name).is_some() || c.unsupported().iter().any(|t| t.name == name),
            Source::Tensors(map) => map.contains_key(&name),
        }
    }
    /// The weight's dtype, if it is there.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        Some(self.require(&self.full(name)).ok()?.1)
    }
    /// Bytes of all weights, whatever the prefix.
    pub fn total_bytes(&self) -> u64 {
        match &self.source {
            Source::Checkpoint(checkpoint) => checkpoint.tensors().map(|info| info.bytes as u64).sum(),
            Source::Tensors(map) => map.values().map(tensor_bytes).sum(),
        }
    }
    /// Bytes of the weights read so far, through this and all its clones and prefixes.
    pub fn loaded_bytes(&self) -> u64 {
        self.loaded.get()
    }
    /// The weight in its own dtype. [`Error::Weight`] if it is missing or of another shape.
    pub async fn get(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        let (name, wanted) = (self.full(name), shape.into());
        let (found, dtype) = self.require(&name)?;
        if *found != wanted {
            return Err(Error::weight(name, format!("has shape {found}; the configuration asks for {wanted}")));
        }
        let tensor = match &self.source {
            Source::Checkpoint(checkpoint) => {
                let bytes = checkpoint.read(&name).await?;
                Tensor::from_buffer(bytes, dtype, wanted, &self.device)?
            }
            Source::Tensors(map) => in_map(map, &name)?.clone(),
        };
        self.loaded.set(self.loaded.get() + tensor_bytes(&tensor));
        Ok(tensor)
    }
    /// As [`Weights::get`], as f32: for norms, biases and other small weights.
    pub async fn get_f32(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        self.get(name, shape).await?.to_dtype(DType::F32)
    }
    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
    /// Shape and dtype, or an error that says why there is none.
    fn require(&self, full: &str) -> Result<(&Shape, DType)> {
        match &self.source {
            Source::Checkpoint(checkpoint) => checkpoint.require(full).map(|info| (&info.shape, info.dtype)),
            Source::Tensors(map) => in_map(map, full).map(|t| (t.shape(), t.dtype())),
        }
    }
}

fn in_map<'a>(map: &'a HashMap<String, Tensor>, name: &str) -> Result<&'a Tensor> {
    map.get(name).ok_or_else(|| Error::weight(name, "is not among the tensors"))
}

fn tensor_bytes(tensor: &Tensor) -> u64 {
    tensor.dtype().bytes_for(tensor.shape().elements()).unwrap_or(0) as u64
}
