//! Activations as layers.

use super::{Init, Module, Parameter, Weights};
use crate::{error::Result, tensor::Tensor};

/// An activation as a layer or as configuration; the functions are methods of [`Tensor`].
///
/// ```
/// use votive::{Device, Tensor, nn::{Activation, Module}};
/// let x = Tensor::new([-2.0f32, 2.0], &Device::cpu())?;
/// assert_eq!(Activation::LeakyRelu(0.5).forward(&x)?.to_vec_sync::<f32>()?, [-1.0, 2.0]);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// Gives what it is given.
    Identity,
    #[default]
    Relu,
    Relu6,
    /// With the slope below zero.
    LeakyRelu(f64),
    Gelu,
    GeluTanh,
    Silu,
    Sigmoid,
    LogSigmoid,
    Tanh,
    /// With `alpha`.
    Elu(f64),
    /// With `alpha`.
    Celu(f64),
    Selu,
    Mish,
    Softplus,
    Softsign,
    Hardtanh,
    Hardsigmoid,
    Hardswish,
    /// Along a dimension.
    Softmax(isize),
    /// Along a dimension.
    LogSoftmax(isize),
    /// Halving a dimension.
    Glu(isize),
}

impl Module for Activation {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        match *self {
            Self::Identity => Ok(x.clone()),
            Self::Relu => x.relu(),
            Self::Relu6 => x.relu6(),
            Self::LeakyRelu(slope) => x.leaky_relu(slope),
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
            Self::Silu => x.silu(),
            Self::Sigmoid => x.sigmoid(),
            Self::LogSigmoid => x.logsigmoid(),
            Self::Tanh => x.tanh(),
            Self::Elu(alpha) => x.elu(alpha),
            Self::Celu(alpha) => x.celu(alpha),
            Self::Selu => x.selu(),
            Self::Mish => x.mish(),
            Self::Softplus => x.softplus(1.0, 20.0),
            Self::Softsign => x.softsign(),
            Self::Hardtanh => x.hardtanh(-1.0, 1.0),
            Self::Hardsigmoid => x.hardsigmoid(),
            Self::Hardswish => x.hardswish(),
            Self::Softmax(dim) => x.softmax(dim),
            Self::LogSoftmax(dim) => x.log_softmax(dim),
            Self::Glu(dim) => x.glu(dim),
        }
    }
}

/// Leaky ReLU whose slope is trained (He et al. 2015): one for all, or one for each channel of `[n, c, ..]`.
#[derive(Clone)]
pub struct PRelu {
    weight: Parameter,
}

impl PRelu {
    /// Finds `weight`, `[slopes]`, under the prefix of `weights`. A new one is 0.25.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub async fn load(weights: &Weights, slopes: usize) -> Result<Self> {
        Ok(Self { weight: weights.parameter_f32("weight", [slopes], Init::Constant(0.25)).await? })
    }
}

impl Module for PRelu {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        x.prelu(&self.weight.get())
    }
}
