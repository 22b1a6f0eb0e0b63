//! Pooling of signals `[n, c, length]` and images `[n, c, height, width]`; the batch dimension may be absent.

use super::{
    Tensor,
    conv::{lift, on_images},
};
use crate::{
    dtype::DType,
    error::{Error, Result},
    op::{Convolution, Op, Windows},
};

/// How [`Tensor::max_pool1d`] and [`Tensor::max_pool2d`] lay windows. The default is windows side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPoolOptions<const N: usize> {
    /// Distance of neighbouring windows; the window's size if absent.
    pub stride: Option<[usize; N]>,
    /// What lies outside and is smaller than anything; at most half a window.
    pub padding: [usize; N],
    /// Distance of the elements of a window.
    pub dilation: [usize; N],
    /// Also windows that begin inside and reach beyond the end.
    pub ceil_mode: bool,
}

impl<const N: usize> Default for MaxPoolOptions<N> {
    fn default() -> Self {
        Self { stride: None, padding: [0; N], dilation: [1; N], ceil_mode: false }
    }
}

/// How [`Tensor::avg_pool1d`] and [`Tensor::avg_pool2d`] lay windows and what they divide by. The default is windows side
/// by side, and PyTorch's: zeros of the padding count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPoolOptions<const N: usize> {
    /// Distance of neighbouring windows; the window's size if absent.
    pub stride: Option<[usize; N]>,
    /// Zeros around the input; at most half a window.
    pub padding: [usize; N],
    /// Also windows that begin inside and reach beyond the end.
    pub ceil_mode: bool,
    /// Divide by the number of elements with those zeros.
    pub count_include_pad: bool,
    /// Divide by this.
    pub divisor_override: Option<usize>,
}

impl<const N: usize> Default for AvgPoolOptions<N> {
    fn default() -> Self {
        Self { stride: None, padding: [0; N], ceil_mode: false, count_include_pad: true, divisor_override: None }
    }
}

/// Windows along one dimension.
struct Axis {
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    outputs: usize,
}

impl Axis {
    fn new(
        op: &'static str,
        size: usize,
        [kernel, stride, padding, dilation]: [usize; 4],
        ceil_mode: bool,
    ) -> Result<Self> {
        if kernel == 0 || stride == 0 || dilation == 0 || padding > kernel / 2 {
            let message = format!(
                "window {kernel}, stride {stride} and dilation {dilation} must be positive and padding {padding} at most half a window"
            );
            return Err(Error::argument(op, message));
        }
        let padded = size.checked_add(2 * padding);
        let spread = (kernel - 1).checked_mul(dilation);
        let steps = padded.zip(spread).and_then(|(padded, spread)| padded.checked_sub(spread)?.checked_sub(1));
        let Some(steps) = steps.filter(|_| size > 0) else {
            return Err(Error::shape(op, format!("a window of {kernel} is larger than {size} padded elements")));
        };
        let mut outputs = if ceil_mode { steps.div_ceil(stride) } else { steps / stride } + 1;
        // A window has to begin inside, or in the padding before.
        if ceil_mode && (outputs - 1).saturating_mul(stride) >= size + padding {
            outputs -= 1;
        }
        Ok(Self { size, kernel, stride, padding, dilation, outputs })
    }
    /// The elements of each window that are inside.
    fn windows(&self) -> Windows {
        let span = |t: usize| {
            let start = t * self.stride;
            let end = start + (self.kernel - 1) * self.dilation + 1;
            let skipped = self.padding.saturating_sub(start).div_ceil(self.dilation) * self.dilation;
            [start + skipped - self.padding, (end - self.padding.min(end)).min(self.size)]
        };
        Windows { spans: (0..self.outputs).map(span).collect(), step: self.dilation }
    }
    /// What an average of each window divides by.
    fn counts(&self, with_padding: bool) -> Vec<f64> {
        let count = |t: usize| {
            let start = t * self.stride;
            let end = (start + self.kernel).min(self.size + 2 * self.padding);
            let inside = end.min(self.size + self.padding).saturating_sub(start.max(self.padding));
            if with_padding { (end - start) as f64 } else { inside as f64 }
        };
        (0..self.outputs).map(count).collect()
    }
}

/// Sums and averages of half precision are computed in f32.
pub(super) fn compute_dtype(x: &Tensor) -> DType {
    if matches!(x.dtype(), DType::F16 | DType::BF16) { DType::F32 } else { x.dtype() }
}

/// `[n, c, h, w]` of an image batch.
fn images(op: &'static str, x: &Tensor) -> Result<[usize; 4]> {
    match x.dims().try_into() {
        Ok(dims) if !x.dims()[1..].contains(&0) => Ok(dims),
        _ => Err(Error::shape(
            op,
            format!("{} should be [batch, channels, ..size]; only the batch may be empty", x.shape()),
        )),
    }
}

/// Checks the rank of a signal or image, with or without the batch dimension.
fn check_rank<const N: usize>(op: &'static str, x: &Tensor) -> Result<()> {
    if x.rank() == N + 2 || x.rank() == N + 1 {
        return Ok(());
    }
    let axes = if N == 1 { "length" } else { "height, width" };
    Err(Error::shape(op, format!("{} should be [batch, channels, {axes}]", x.shape())))
}

/// The elements at the indices of the largest, and those indices.
fn max_of(x: &Tensor, rows: Windows, columns: Windows) -> Result<(Tensor, Tensor)> {
    let [n, c, h, w] = images("max_pool2d", x)?;
    let indices = Tensor::apply(Op::MaxIndices { rows, columns }, &[x])?;
    let flat = indices.reshape([n, c, indices.dims()[2] * indices.dims()[3]])?;
    let values = x.reshape([n, c, h * w])?.gather(2, &flat)?.reshape(indices.shape())?;
    Ok((values, indices))
}

fn max_pool<const N: usize>(
    op: &'static str,
    x: &Tensor,
    kernel: [usize; N],
    options: &MaxPoolOptions<N>,
) -> Result<(Tensor, Tensor)> {
    check_rank::<N>(op, x)?;
    let (stride, kernel) = (lift(options.stride.unwrap_or(kernel), 1), lift(kernel, 1));
    let (padding, dilation) = (lift(options.padding, 0), lift(options.dilation, 1));
    let mut indices = None;
    let values = on_images::<N>(x, |x| {
        let [_, _, h, w] = images(op, x)?;
        let axis = |i: usize, size: usize| {
            Ok(Axis::new(op, size, [kernel[i], stride[i], padding[i], dilation[i]], options.ceil_mode)?.windows())
        };
        let (values, found) = max_of(x, axis(0, h)?, axis(1, w)?)?;
        indices = Some(found);
        Ok(values)
    })?;
    let indices = indices.ok_or_else(|| Error::shape(op, "no indices"))?.reshape(values.shape())?;
    Ok((values, indices))
}

fn avg_pool<const N: usize>(
    op: &'static str,
    x: &Tensor,
    kernel: [usize; N],
    options: &AvgPoolOptions<N>,
) -> Result<Tensor> {
    check_rank::<N>(op, x)?;
    let (stride, kernel) = (lift(options.stride.unwrap_or(kernel), 1), lift(kernel, 1));
    let padding = lift(options.padding, 0);
    if options.divisor_override == Some(0) {
        return Err(Error::argument(op, "a divisor of 0"));
    }
    on_images::<N>(x, |x| {
        let [_, c, h, w] = images(op, x)?;
        let axis = |i: usize, size| Axis::new(op, size, [kernel[i], stride[i], padding[i], 1], options.ceil_mode);
        let (rows, columns) = (axis(0, h)?, axis(1, w)?);
        let conv = Convolution { stride, padding, dilation: [1; 2], groups: c, size: [rows.outputs, columns.outputs] };
        // A sum over windows is a depthwise convolution by ones; of half precision it might overflow.
        let (dtype, x) = (x.dtype(), x.to_dtype(compute_dtype(x))?);
        let weight = x.scalar_like(1.0)?.broadcast_to([c, 1, kernel[0], kernel[1]])?;
        let sums = Tensor::apply(Op::Conv(conv), &[&x, &weight])?;
        if let Some(divisor) = options.divisor_override {
            return sums.div_scalar(divisor as f64)?.to_dtype(dtype);
        }
        let [down, across] = [&rows, &columns].map(|axis| axis.counts(options.count_include_pad));
        let counts: Vec<_> = down.iter().flat_map(|a| across.iter().map(move |b| a * b)).collect();
        sums.div(&x.values_like(&counts, [down.len(), across.len()])?)?.to_dtype(dtype)
    })
}

/// Windows that together cover `size` in `outputs` parts, PyTorch's way: they may overlap by one.
fn adaptive(op: &'static str, size: usize, outputs: usize) -> Result<Windows> {
    let fits = size > 0 && size.checked_mul(outputs + 1).is_some();
    let span = |t: usize| [t * size / outputs, ((t + 1) * size).div_ceil(outputs)];
    match outputs {
        _ if !fits => Err(Error::shape(op, format!("{size} elements in {outputs} parts"))),
        0 => Err(Error::argument(op, "an output size of 0")),
        _ => Ok(Windows { spans: (0..outputs).map(span).collect(), step: 1 }),
    }
}

/// The average of each window as a matrix `[outputs, size]`.
fn averages(like: &Tensor, windows: &Windows, size: usize) -> Result<Tensor> {
    let mut matrix = vec![0.0f64; windows.spans.len() * size];
    for (row, &[start, end]) in matrix.chunks_exact_mut(size).zip(&windows.spans) {
        row[start..end].fill(1.0 / (end - start) as f64);
    }
    like.values_like(&matrix, [windows.spans.len(), size])
}

fn adaptive_avg_pool<const N: usize>(op: &'static str, x: &Tensor, size: [usize; N]) -> Result<Tensor> {
    check_rank::<N>(op, x)?;
    let [oh, ow] = lift(size, 1);
    on_images::<N>(x, |x| {
        let [n, c, h, w] = images(op, x)?;
        let (rows, columns) = (adaptive(op, h, oh)?, adaptive(op, w, ow)?);
        if h.is_multiple_of(oh) && w.is_multiple_of(ow) {
            let parts = x.reshape([n, c, oh, h / oh, ow, w / ow])?;
            return parts.mean([3, 5]);
        }
        let wide = x.to_dtype(compute_dtype(x))?;
        let (down, across) = (averages(&wide, &rows, h)?, averages(&wide, &columns, w)?);
        down.matmul(&wide.matmul(&across.t()?)?)?.to_dtype(x.dtype())
    })
}

fn adaptive_max_pool<const N: usize>(op: &'static str, x: &Tensor, size: [usize; N]) -> Result<Tensor> {
    check_rank::<N>(op, x)?;
    let [oh, ow] = lift(size, 1);
    on_images::<N>(x, |x| {
        let [_, _, h, w] = images(op, x)?;
        Ok(max_of(x, adaptive(op, h, oh)?, adaptive(op, w, ow)?)?.0)
    })
}

/// Pooling of floats.
///
/// ```
/// use votive::{Device, Tensor, tensor::{AvgPoolOptions, MaxPoolOptions}};
/// let x = Tensor::new([[[1f32, 5.0, 2.0, 4.0, 3.0]]], &Device::cpu())?;
/// assert_eq!(x.max_pool1d([2], &MaxPoolOptions::default())?.to_vec_sync::<f32>()?, [5.0, 4.0]);
/// let ceil = AvgPoolOptions { ceil_mode: true, ..Default::default() };
/// assert_eq!(x.avg_pool1d([2], &ceil)?.to_vec_sync::<f32>()?, [3.0, 3.0, 3.0]);
/// assert_eq!(x.adaptive_avg_pool1d([1])?.to_vec_sync::<f32>()?, [3.0]);
/// assert_eq!(x.adaptive_max_pool1d([2])?.to_vec_sync::<f32>()?, [5.0, 4.0]);
///
/// let x = x.reshape([1, 1, 1, 5])?;
/// let (values, places) = x.max_pool2d_with_indices([1, 5], &MaxPoolOptions::default())?;
/// assert_eq!((values.to_vec_sync::<f32>()?, places.to_vec_sync::<u32>()?), (vec![5.0], vec![1]));
/// assert_eq!(x.max_pool2d([1, 2], &MaxPoolOptions::default())?.dims(), [1, 1, 1, 2]);
/// assert_eq!(x.avg_pool2d([1, 2], &AvgPoolOptions::default())?.dims(), [1, 1, 1, 2]);
/// assert_eq!(x.adaptive_avg_pool2d([1, 2])?.dims(), [1, 1, 1, 2]);
/// assert_eq!(x.adaptive_max_pool2d([1, 3])?.dims(), [1, 1, 1, 3]);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// The largest of each window of `[n, c, length]`; NaN if there is one.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::MaxPoolOptions};
    /// let x = Tensor::new([[[1f32, 5.0, 2.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(x.max_pool1d([2], &MaxPoolOptions::default())?.to_vec_sync::<f32>()?, [5.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn max_pool1d(&self, kernel: [usize; 1], options: &MaxPoolOptions<1>) -> Result<Tensor> {
        Ok(max_pool("max_pool1d", self, kernel, options)?.0)
    }
    /// The largest of each window of `[n, c, h, w]`; NaN if there is one.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::MaxPoolOptions};
    /// let x = Tensor::new([[[[1f32, 5.0], [2.0, 4.0]]]], &Device::cpu())?;
    /// assert_eq!(x.max_pool2d([2, 2], &MaxPoolOptions::default())?.to_vec_sync::<f32>()?, [5.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn max_pool2d(&self, kernel: [usize; 2], options: &MaxPoolOptions<2>) -> Result<Tensor> {
        Ok(max_pool("max_pool2d", self, kernel, options)?.0)
    }
    /// [`Tensor::max_pool2d`] and the u32 index in `h * w` of each result, the first of equals.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::MaxPoolOptions};
    /// let x = Tensor::new([[[[1f32, 5.0], [2.0, 4.0]]]], &Device::cpu())?;
    /// let (largest, at) = x.max_pool2d_with_indices([2, 2], &MaxPoolOptions::default())?;
    /// assert_eq!((largest.to_vec_sync::<f32>()?, at.to_vec_sync::<u32>()?), (vec![5.0], vec![1]));
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn max_pool2d_with_indices(&self, kernel: [usize; 2], options: &MaxPoolOptions<2>) -> Result<(Tensor, Tensor)> {
        max_pool("max_pool2d", self, kernel, options)
    }
    /// The mean of each window of `[n, c, length]`.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::AvgPoolOptions};
    /// let x = Tensor::new([[[1f32, 5.0, 2.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(x.avg_pool1d([2], &AvgPoolOptions::default())?.to_vec_sync::<f32>()?, [3.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn avg_pool1d(&self, kernel: [usize; 1], options: &AvgPoolOptions<1>) -> Result<Tensor> {
        avg_pool("avg_pool1d", self, kernel, options)
    }
    /// The mean of each window of `[n, c, h, w]`.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::AvgPoolOptions};
    /// let x = Tensor::new([[[[1f32, 5.0], [2.0, 4.0]]]], &Device::cpu())?;
    /// assert_eq!(x.avg_pool2d([1, 2], &AvgPoolOptions::default())?.to_vec_sync::<f32>()?, [3.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn avg_pool2d(&self, kernel: [usize; 2], options: &AvgPoolOptions<2>) -> Result<Tensor> {
        avg_pool("avg_pool2d", self, kernel, options)
    }
    /// Means of windows that cover `[n, c, length]` in `size` parts.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 5.0, 2.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(x.adaptive_avg_pool1d([2])?.to_vec_sync::<f32>()?, [3.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn adaptive_avg_pool1d(&self, size: [usize; 1]) -> Result<Tensor> {
        adaptive_avg_pool("adaptive_avg_pool1d", self, size)
    }
    /// Means of windows that cover `[n, c, h, w]` in `size` parts.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[[1f32, 5.0], [2.0, 4.0]]]], &Device::cpu())?;
    /// assert_eq!(x.adaptive_avg_pool2d([1, 2])?.to_vec_sync::<f32>()?, [1.5, 4.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn adaptive_avg_pool2d(&self, size: [usize; 2]) -> Result<Tensor> {
        adaptive_avg_pool("adaptive_avg_pool2d", self, size)
    }
    /// The largest of windows that cover `[n, c, length]` in `size` parts.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 5.0, 2.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(x.adaptive_max_pool1d([2])?.to_vec_sync::<f32>()?, [5.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn adaptive_max_pool1d(&self, size: [usize; 1]) -> Result<Tensor> {
        adaptive_max_pool("adaptive_max_pool1d", self, size)
    }
    /// The largest of windows that cover `[n, c, h, w]` in `size` parts.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[[1f32, 5.0], [2.0, 4.0]]]], &Device::cpu())?;
    /// assert_eq!(x.adaptive_max_pool2d([1, 2])?.to_vec_sync::<f32>()?, [2.0, 5.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn adaptive_max_pool2d(&self, size: [usize; 2]) -> Result<Tensor> {
        adaptive_max_pool("adaptive_max_pool2d", self, size)
    }
}
