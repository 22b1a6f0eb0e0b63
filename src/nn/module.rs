//! What layers have in common, and layers one after the other.

use crate::{error::Result, tensor::Tensor};

/// A layer or model from one tensor to another. Layers with more inputs or results have methods of their own.
///
/// ```
/// use votive::{Device, Result, Tensor, nn::{Module, Sequential}};
/// let double = |x: &Tensor| x.mul_scalar(2.0);
/// let net = Sequential::new().then(double).then(|x: &Tensor| x.relu());
/// let y = net.forward(&Tensor::new([-1.0f32, 3.0], &Device::cpu())?)?;
/// assert_eq!(y.to_vec_sync::<f32>()?, [0.0, 6.0]);
/// # Ok::<(), votive::Error>(())
/// ```
pub trait Module: Send + Sync {
    /// The result when the model is used (PyTorch's `eval` mode).
    ///
    /// # Errors
    /// When the input does not fit the layer.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_t(x, false)
    }
    /// The result; with `training`, dropout drops and batch norm uses the batch's statistics.
    ///
    /// # Errors
    /// When the input does not fit the layer.
    fn forward_t(&self, x: &Tensor, training: bool) -> Result<Tensor>;
}

/// A function is a layer without parameters.
impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> Module for F {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        self(x)
    }
}

impl Module for Box<dyn Module> {
    fn forward_t(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        (**self).forward_t(x, training)
    }
}

/// Layers one after the other.
#[derive(Default)]
pub struct Sequential(Vec<Box<dyn Module>>);

impl Sequential {
    /// No layers: gives what it is given.
    pub fn new() -> Self {
        Self::default()
    }
    /// With a layer at the end.
    pub fn then(mut self, layer: impl Module + 'static) -> Self {
        self.push(layer);
        self
    }
    /// Puts a layer at the end.
    pub fn push(&mut self, layer: impl Module + 'static) {
        self.0.push(Box::new(layer));
    }
    /// How many layers.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Has it no layers?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Module for Sequential {
    fn forward_t(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, layer| layer.forward_t(&x, training))
    }
}
