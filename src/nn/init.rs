//! Initial values of parameters, as `torch.nn.init`.

use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
    tensor::{Generator, Tensor},
};

/// Which side of a layer decides how large its weights are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fan {
    /// Keeps the variance of activations.
    #[default]
    In,
    /// Keeps the variance of gradients.
    Out,
}

/// How a parameter is filled. For fans, a weight is `[out, in, ..]`, with a kernel's taps multiplying both.
///
/// ```
/// use votive::{DType, Device, Generator, nn::{Init, gain}};
/// let init = Init::XavierUniform { gain: gain::TANH };
/// let w = init.tensor([64, 32], DType::F32, &Device::cpu(), &Generator::new(0))?;
/// let bound = gain::TANH as f32 * (6.0f32 / 96.0).sqrt();
/// assert!(w.to_vec_sync::<f32>()?.iter().all(|v| v.abs() <= bound));
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// The same everywhere.
    Constant(f64),
    /// Uniform in `low..high`.
    Uniform {
        /// Lower limit.
        low: f64,
        /// Upper limit.
        high: f64,
    },
    /// Normally distributed.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Uniform with the variance `gain² * 2 / (fan_in + fan_out)` (Glorot & Bengio 2010).
    XavierUniform {
        /// Factor for the activation that follows, of [`gain`].
        gain: f64,
    },
    /// The same, normally distributed.
    XavierNormal {
        /// Factor for the activation that follows, of [`gain`].
        gain: f64,
    },
    /// Uniform with the variance `gain² / fan` (He et al. 2015).
    KaimingUniform {
        /// Factor for the activation that follows, of [`gain`].
        gain: f64,
        /// Which fan.
        fan: Fan,
    },
    /// The same, normally distributed.
    KaimingNormal {
        /// Factor for the activation that follows, of [`gain`].
        gain: f64,
        /// Which fan.
        fan: Fan,
    },
    /// Rows (or columns, if there are fewer) orthonormal, times `gain` (Saxe et al. 2014); dimensions after the first count
    /// as one.
    Orthogonal {
        /// Factor for the activation that follows, of [`gain`].
        gain: f64,
    },
}

/// Factors by which initial weights make up for the activation that follows; as PyTorch's `calculate_gain`.
pub mod gain {
    /// No activation, convolutions, sigmoid.
    pub const LINEAR: f64 = 1.0;
    /// tanh.
    pub const TANH: f64 = 5.0 / 3.0;
    /// ReLU.
    pub const RELU: f64 = std::f64::consts::SQRT_2;
    /// SELU.
    pub const SELU: f64 = 0.75;
    /// Leaky ReLU of a slope.
    pub fn leaky_relu(slope: f64) -> f64 {
        (2.0 / (1.0 + slope * slope)).sqrt()
    }
}

impl Init {
    /// All zero.
    pub const ZEROS: Self = Self::Constant(0.0);
    /// All one.
    pub const ONES: Self = Self::Constant(1.0);

    /// Uniform between `±1/sqrt(fan_in)`: PyTorch's default for linear, convolution and recurrent layers, weights and
    /// biases alike.
    pub fn fan_in_uniform(fan_in: usize) -> Self {
        let bound = if fan_in == 0 { 0.0 } else { 1.0 / (fan_in as f64).sqrt() };
        Self::Uniform { low: -bound, high: bound }
    }

    /// A tensor so filled.
    ///
    /// # Errors
    /// When the dtype is no float, or fans are asked of a shape with fewer than two dimensions.
    pub fn tensor(
        &self,
        shape: impl Into<Shape>,
        dtype: DType,
        device: &Device,
        generator: &Generator,
    ) -> Result<Tensor> {
        let shape = shape.into();
        let uniform =
            |low: f64, high: f64| Tensor::rand(shape.clone(), dtype, device, generator)?.affine(high - low, low);
        let normal = |mean: f64, std: f64| Tensor::randn(shape.clone(), dtype, device, generator)?.affine(std, mean);
        // A uniform distribution over ±bound has the variance bound² / 3.
        let spread = |std: f64| uniform(-std * 3f64.sqrt(), std * 3f64.sqrt());
        let xavier = |gain: f64| fans(&shape).map(|(fan_in, fan_out)| gain * (2.0 / (fan_in + fan_out)).sqrt());
        let kaiming = |gain: f64, fan: Fan| {
            fans(&shape).map(|(fan_in, fan_out)| gain / if fan == Fan::In { fan_in } else { fan_out }.sqrt())
        };
        match *self {
            Self::Constant(value) => Tensor::full(value, shape, dtype, device),
            Self::Uniform { low, high } => uniform(low, high),
            Self::Normal { mean, std } => normal(mean, std),
            Self::XavierUniform { gain } => spread(xavier(gain)?),
            Self::XavierNormal { gain } => normal(0.0, xavier(gain)?),
            Self::KaimingUniform { gain, fan } => spread(kaiming(gain, fan)?),
            Self::KaimingNormal { gain, fan } => normal(0.0, kaiming(gain, fan)?),
            Self::Orthogonal { gain } => orthogonal(&shape, dtype, device, generator)?.affine(gain, 0.0),
        }
    }
}

/// Inputs that reach one output, and outputs that one input reaches.
fn fans(shape: &Shape) -> Result<(f64, f64)> {
    let [outputs, inputs, taps @ ..] = shape.dims() else {
        return Err(Error::shape("init", format!("{shape} has no fans: a weight is [out, in, ..]")));
    };
    let taps: f64 = taps.iter().map(|&n| n as f64).product();
    // Empty weights have no elements to fill; 1 keeps the formulas finite.
    Ok(((*inputs as f64 * taps).max(1.0), (*outputs as f64 * taps).max(1.0)))
}

/// Normal vectors made orthonormal one after the other (Gram-Schmidt, twice for accuracy).
fn orthogonal(shape: &Shape, dtype: DType, device: &Device, generator: &Generator) -> Result<Tensor> {
    let [rows, rest @ ..] = shape.dims() else {
        return Err(Error::shape("init", "a scalar cannot be orthogonal"));
    };
    let (rows, columns) = (*rows, rest.iter().product::<usize>());
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Tensor> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut vector = Tensor::randn([length, 1], DType::F64, device, generator)?;
        if !vectors.is_empty() {
            let before = Tensor::cat(&vectors.iter().collect::<Vec<_>>(), 1)?;
            for _ in 0..2 {
                vector = vector.sub(&before.matmul(&before.t()?.matmul(&vector)?)?)?;
            }
        }
        vectors.push(vector.div(&vector.sqr()?.sum(..)?.sqrt()?)?);
    }
    if vectors.is_empty() {
        return Tensor::zeros(shape, dtype, device);
    }
    let matrix = Tensor::cat(&vectors.iter().collect::<Vec<_>>(), 1)?;
    let matrix = if rows < columns { matrix.t()? } else { matrix };
    matrix.to_dtype(dtype)?.reshape(shape)
}
