//! Convolution layers.

use super::{Init, Module, Parameter, Weights};
use crate::{
    error::{Error, Result},
    tensor::{ConvOptions, ConvTransposeOptions, Tensor},
};

/// Convolution of signals `[n, c, length]`.
pub type Conv1d = Conv<1>;
/// Convolution of images `[n, c, height, width]`.
pub type Conv2d = Conv<2>;
/// Transposed convolution of signals.
pub type ConvTranspose1d = ConvTranspose<1>;
/// Transposed convolution of images.
pub type ConvTranspose2d = ConvTranspose<2>;

/// A convolution over `N` dimensions: weight `[outputs, inputs / groups, taps..]` and an optional bias `[outputs]`.
///
/// ```
/// use votive::{DType, Device, Tensor, nn::{Conv2d, Module, Parameters, Weights}};
/// use votive::tensor::{ConvOptions, Padding};
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let weights = Weights::from_parameters(&parameters, &cpu);
/// let options = ConvOptions { stride: [2, 2], padding: Padding::Zeros([1, 1]), ..ConvOptions::default() };
/// let conv = votive::block_on(Conv2d::load(&weights, 3, 8, [3, 3], options, true))?;
/// assert_eq!(conv.forward(&Tensor::zeros([1, 3, 8, 8], DType::F32, &cpu)?)?.dims(), [1, 8, 4, 4]);
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct Conv<const N: usize> {
    weight: Parameter,
    bias: Option<Parameter>,
    options: ConvOptions<N>,
}

/// The transpose of a convolution over `N` dimensions: weight `[inputs, outputs / groups, taps..]` and an optional bias
/// `[outputs]`.
///
/// ```
/// use votive::{DType, Device, Tensor, nn::{ConvTranspose1d, Module, Parameters, Weights}};
/// use votive::tensor::ConvTransposeOptions;
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let weights = Weights::from_parameters(&parameters, &cpu);
/// let options = ConvTransposeOptions { stride: [2], ..ConvTransposeOptions::default() };
/// let conv = votive::block_on(ConvTranspose1d::load(&weights, 3, 8, [2], options, true))?;
/// assert_eq!(conv.forward(&Tensor::zeros([1, 3, 5], DType::F32, &cpu)?)?.dims(), [1, 8, 10]);
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct ConvTranspose<const N: usize> {
    weight: Parameter,
    bias: Option<Parameter>,
    options: ConvTransposeOptions<N>,
}

/// Finds or makes a weight `[first, second, taps..]` and a bias, uniform as PyTorch's.
async fn load<const N: usize>(
    weights: &Weights,
    [first, second]: [usize; 2],
    taps: [usize; N],
    bias: Option<usize>,
) -> Result<(Parameter, Option<Parameter>)> {
    let init = Init::fan_in_uniform(taps.iter().fold(second, |product, &n| product.saturating_mul(n)));
    let weight = weights.parameter("weight", [&[first, second], &taps[..]].concat(), init).await?;
    Ok(match bias {
        Some(outputs) => (weight, Some(weights.parameter_f32("bias", [outputs], init).await?)),
        None => (weight, None),
    })
}

/// A share of channels that each group has.
fn per_group(op: &'static str, channels: usize, groups: usize) -> Result<usize> {
    if groups > 0 && channels.is_multiple_of(groups) {
        return Ok(channels / groups);
    }
    Err(Error::argument(op, format!("{channels} channels are not {groups} equal groups")))
}

impl<const N: usize> Conv<N> {
    /// From a weight `[outputs, inputs / groups, taps..]` and a bias `[outputs]`; tensors become frozen parameters.
    pub fn new(weight: impl Into<Parameter>, bias: Option<Parameter>, options: ConvOptions<N>) -> Self {
        Self { weight: weight.into(), bias, options }
    }
    /// Finds `weight` and, if asked for, `bias` under the prefix of `weights`. New ones are uniform between
    /// `±1/sqrt(fan_in)`, as PyTorch's.
    ///
    /// # Errors
    /// When one is missing or of another shape, or the channels are not equal groups.
    pub async fn load(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        taps: [usize; N],
        options: ConvOptions<N>,
        bias: bool,
    ) -> Result<Self> {
        let sizes = [outputs, per_group("conv", inputs, options.groups)?];
        let (weight, bias) = load(weights, sizes, taps, bias.then_some(outputs)).await?;
        Ok(Self { weight, bias, options })
    }
}

impl<const N: usize> ConvTranspose<N> {
    /// From a weight `[inputs, outputs / groups, taps..]` and a bias `[outputs]`; tensors become frozen parameters.
    pub fn new(weight: impl Into<Parameter>, bias: Option<Parameter>, options: ConvTransposeOptions<N>) -> Self {
        Self { weight: weight.into(), bias, options }
    }
    /// Finds `weight` and, if asked for, `bias` under the prefix of `weights`. New ones are uniform, as PyTorch's.
    ///
    /// # Errors
    /// When one is missing or of another shape, or the channels are not equal groups.
    pub async fn load(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        taps: [usize; N],
        options: ConvTransposeOptions<N>,
        bias: bool,
    ) -> Result<Self> {
        let sizes = [inputs, per_group("conv_transpose", outputs, options.groups)?];
        let (weight, bias) = load(weights, sizes, taps, bias.then_some(outputs)).await?;
        Ok(Self { weight, bias, options })
    }
}

macro_rules! module {
    ($($layer:ty => $method:ident),*) => { $(
        impl Module for $layer {
            fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
                let bias = self.bias.as_ref().map(Parameter::get);
                x.$method(&self.weight.get(), bias.as_ref(), &self.options)
            }
        }
    )* };
}
module!(Conv1d => conv1d, Conv2d => conv2d, ConvTranspose1d => conv_transpose1d, ConvTranspose2d => conv_transpose2d);
