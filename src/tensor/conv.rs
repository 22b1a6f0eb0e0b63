//! Convolution of signals `[n, c, length]` and images `[n, c, height, width]`, and its transpose.

use super::Tensor;
use crate::{
    error::{Error, Result},
    op::{Convolution, Op, check_conv, check_conv_bias},
    shape::Shape,
};

/// Zeros around the input of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding<const N: usize> {
    /// So many on both sides of each dimension.
    Zeros([usize; N]),
    /// As many as keep the size; of an odd number one more at the end. For strides of 1.
    Same,
}

/// How [`Tensor::conv1d`] (`N` = 1) and [`Tensor::conv2d`] (`N` = 2) lay the kernel over the input. The default is a
/// stride, dilation and group count of 1 without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Distance of neighbouring outputs.
    pub stride: [usize; N],
    /// Zeros around the input.
    pub padding: Padding<N>,
    /// Distance of neighbouring taps.
    pub dilation: [usize; N],
    /// Channels are in so many groups, each convolved by itself; as many as channels makes it depthwise.
    pub groups: usize,
}

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        Self { stride: [1; N], padding: Padding::Zeros([0; N]), dilation: [1; N], groups: 1 }
    }
}

/// How [`Tensor::conv_transpose1d`] and [`Tensor::conv_transpose2d`] spread the input: the options of the convolution whose
/// transpose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const N: usize> {
    /// Distance of neighbouring inputs in the result.
    pub stride: [usize; N],
    /// Cut from both sides of each dimension of the result.
    pub padding: [usize; N],
    /// Added at the end of each dimension: a strided convolution gives one size for several.
    pub output_padding: [usize; N],
    /// Distance of neighbouring taps.
    pub dilation: [usize; N],
    /// Channels are in so many groups.
    pub groups: usize,
}

impl<const N: usize> Default for ConvTransposeOptions<N> {
    fn default() -> Self {
        Self { stride: [1; N], padding: [0; N], output_padding: [0; N], dilation: [1; N], groups: 1 }
    }
}

/// One parameter of a signal as that of an image of height 1.
pub(super) fn lift<const N: usize>(values: [usize; N], other: usize) -> [usize; 2] {
    match values[..] {
        [only] => [other, only],
        [first, second, ..] => [first, second],
        [] => [other; 2],
    }
}

/// Runs `f` on an image batch made of a signal (`N` = 1) or image, with or without a batch dimension.
pub(super) fn on_images<const N: usize>(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let batched = if x.rank() == N + 1 { x.unsqueeze(0)? } else { x.clone() };
    let images = if N == 1 { batched.unsqueeze(-2)? } else { batched };
    let out = f(&images)?;
    let out = if N == 1 { out.squeeze(-2)? } else { out };
    if x.rank() == N + 1 { out.squeeze(0) } else { Ok(out) }
}

/// The shape with the batch dimension that it may lack.
fn batched<const N: usize>(shape: &Shape) -> Shape {
    if shape.rank() == N + 1 { [&[1], shape.dims()].concat().into() } else { shape.clone() }
}

fn conv<const N: usize>(
    name: &'static str,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvOptions<N>,
) -> Result<Tensor> {
    let ConvOptions { stride, padding, dilation, groups } = *options;
    let shape = batched::<N>(x.shape());
    check_conv(name, false, (&shape, weight.shape()), (&stride, &dilation, groups))?;
    if let Some(bias) = bias {
        check_conv_bias(name, bias.shape(), weight.dims()[0])?;
    }
    let (mut low, mut size) = ([0; N], [0; N]);
    for i in 0..N {
        let (input, taps) = (shape.dims()[2 + i], weight.dims()[2 + i]);
        let spread = (taps - 1).checked_mul(dilation[i]);
        let padded = match padding {
            Padding::Same if stride[i] != 1 => {
                let message = format!("padding that keeps the size needs strides of 1, not {stride:?}");
                return Err(Error::argument(name, message));
            }
            Padding::Same => {
                low[i] = spread.unwrap_or(0) / 2;
                spread.and_then(|spread| input.checked_add(spread))
            }
            Padding::Zeros(zeros) => {
                low[i] = zeros[i];
                zeros[i].checked_mul(2).and_then(|zeros| input.checked_add(zeros))
            }
        };
        let steps = padded.zip(spread).and_then(|(padded, spread)| padded.checked_sub(spread)?.checked_sub(1));
        let Some(steps) = steps else {
            let why = format!("the kernel {:?} is larger than the padded input", &weight.dims()[2..]);
            return Err(Error::shapes(name, x.shape(), weight.shape(), why));
        };
        size[i] = steps / stride[i] + 1;
    }
    let op = Op::Conv(Convolution {
        stride: lift(stride, 1),
        padding: lift(low, 0),
        dilation: lift(dilation, 1),
        groups,
        size: lift(size, 1),
    });
    on_images::<N>(x, |x| apply::<N>(op, x, weight, bias))
}

fn conv_transpose<const N: usize>(
    name: &'static str,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvTransposeOptions<N>,
) -> Result<Tensor> {
    let ConvTransposeOptions { stride, padding, output_padding, dilation, groups } = *options;
    let shape = batched::<N>(x.shape());
    check_conv(name, true, (&shape, weight.shape()), (&stride, &dilation, groups))?;
    if let Some(bias) = bias {
        check_conv_bias(name, bias.shape(), weight.dims()[1] * groups)?;
    }
    let mut size = [0; N];
    for i in 0..N {
        let (input, taps) = (shape.dims()[2 + i], weight.dims()[2 + i]);
        if output_padding[i] >= stride[i].max(dilation[i]) {
            let message = format!("output padding {output_padding:?} must be smaller than stride or dilation");
            return Err(Error::argument(name, message));
        }
        let whole = input.checked_sub(1).and_then(|last| {
            let reach = last.checked_mul(stride[i])?.checked_add((taps - 1).checked_mul(dilation[i])?)?;
            reach.checked_add(1 + output_padding[i])
        });
        let cut = whole.zip(padding[i].checked_mul(2)).and_then(|(whole, cut)| whole.checked_sub(cut));
        size[i] = cut.filter(|&size| size > 0).ok_or_else(|| {
            let why = format!("padding {padding:?} leaves nothing of the result");
            Error::shapes(name, x.shape(), weight.shape(), why)
        })?;
    }
    let op = Op::ConvTranspose(Convolution {
        stride: lift(stride, 1),
        padding: lift(padding, 0),
        dilation: lift(dilation, 1),
        groups,
        size: lift(size, 1),
    });
    on_images::<N>(x, |x| apply::<N>(op, x, weight, bias))
}

fn apply<const N: usize>(op: Op, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let weight = if N == 1 { weight.unsqueeze(-2)? } else { weight.clone() };
    match bias {
        Some(bias) => Tensor::apply(op, &[x, &weight, bias]),
        None => Tensor::apply(op, &[x, &weight]),
    }
}

/// Convolutions of floats (cross-correlations, as everywhere in neural networks). Inputs may lack the batch dimension.
///
/// ```
/// use votive::{Device, Tensor, tensor::{ConvOptions, ConvTransposeOptions, Padding}};
/// let device = Device::cpu();
/// let x = Tensor::new([[[1f32, 2.0, 3.0, 4.0]]], &device)?;
/// let w = Tensor::new([[[1f32, 0.0, -1.0]]], &device)?;
/// let y = x.conv1d(&w, None, &ConvOptions { padding: Padding::Same, ..Default::default() })?;
/// assert_eq!(y.to_vec_sync::<f32>()?, [-2.0, -2.0, -2.0, 3.0]);
/// let up = x.conv_transpose1d(&w, None, &ConvTransposeOptions { stride: [2], ..Default::default() })?;
/// assert_eq!(up.dims(), [1, 1, 9]);
///
/// let image = Tensor::ones([1, 3, 9, 9], votive::DType::F32, &device)?;
/// let w = Tensor::ones([8, 3, 3, 3], votive::DType::F32, &device)?;
/// let options = ConvOptions { stride: [2, 2], padding: Padding::Zeros([1, 1]), ..Default::default() };
/// assert_eq!(image.conv2d(&w, None, &options)?.dims(), [1, 8, 5, 5]);
/// let back = ConvTransposeOptions { stride: [2, 2], padding: [1, 1], ..Default::default() };
/// assert_eq!(image.conv_transpose2d(&w.narrow(0, 0, 3)?, None, &back)?.dims(), [1, 3, 17, 17]);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// `[n, c, length]` by a weight `[outputs, c / groups, taps]` and a bias `[outputs]`, as PyTorch's `conv1d`.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::ConvOptions};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[[1f32, 2.0, 3.0, 5.0]]], &cpu)?;
    /// let w = Tensor::new([[[1f32, 0.0, -1.0]]], &cpu)?;
    /// assert_eq!(x.conv1d(&w, None, &ConvOptions::default())?.to_vec_sync::<f32>()?, [-2.0, -3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn conv1d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &ConvOptions<1>) -> Result<Tensor> {
        conv("conv1d", self, weight, bias, options)
    }
    /// `[n, c, h, w]` by a weight `[outputs, c / groups, kh, kw]` and a bias `[outputs]`, as PyTorch's `conv2d`.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::ConvOptions};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[[[1f32, 2.0], [3.0, 4.0]]]], &cpu)?;
    /// let w = Tensor::new([[[[1f32, 0.0], [0.0, 10.0]]]], &cpu)?;
    /// assert_eq!(x.conv2d(&w, None, &ConvOptions::default())?.to_vec_sync::<f32>()?, [41.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &ConvOptions<2>) -> Result<Tensor> {
        conv("conv2d", self, weight, bias, options)
    }
    /// `[n, c, length]` by a weight `[c, outputs / groups, taps]` and a bias `[outputs]`, as PyTorch's
    /// `conv_transpose1d`: the gradient of [`Tensor::conv1d`] to its input.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::ConvTransposeOptions};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[[1f32, 2.0]]], &cpu)?;
    /// let w = Tensor::new([[[1f32, 3.0]]], &cpu)?;
    /// let options = ConvTransposeOptions { stride: [2], ..Default::default() };
    /// assert_eq!(x.conv_transpose1d(&w, None, &options)?.to_vec_sync::<f32>()?, [1.0, 3.0, 2.0, 6.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn conv_transpose1d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvTransposeOptions<1>,
    ) -> Result<Tensor> {
        conv_transpose("conv_transpose1d", self, weight, bias, options)
    }
    /// `[n, c, h, w]` by a weight `[c, outputs / groups, kh, kw]` and a bias `[outputs]`, as PyTorch's
    /// `conv_transpose2d`: the gradient of [`Tensor::conv2d`] to its input.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::ConvTransposeOptions};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[[[1f32, 2.0]]]], &cpu)?;
    /// let w = Tensor::new([[[[1f32], [3.0]]]], &cpu)?;
    /// let y = x.conv_transpose2d(&w, None, &ConvTransposeOptions::default())?;
    /// assert_eq!(y.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0, 6.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn conv_transpose2d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvTransposeOptions<2>,
    ) -> Result<Tensor> {
        conv_transpose("conv_transpose2d", self, weight, bias, options)
    }
}
