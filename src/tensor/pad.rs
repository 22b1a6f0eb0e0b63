//! Borders, windows, and images whose pixels move between channels and space.

use super::Tensor;
use crate::{
    autograd::ViewOp,
    error::{Error, Result},
    layout::Layout,
    op::pad::{fold, windows},
};

/// What [`Tensor::pad`] puts outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// One value.
    Constant(f64),
    /// The elements mirrored at the border, which is not repeated.
    Reflect,
    /// The element at the border.
    Replicate,
    /// The elements from the other end.
    Circular,
}

impl PadMode {
    /// Which element of `n` stands at place `i`, counted from the first; for modes other than a constant.
    fn source(self, i: isize, n: isize) -> u32 {
        let at = match self {
            Self::Reflect if i < 0 => -i,
            Self::Reflect if i >= n => 2 * (n - 1) - i,
            Self::Circular => i.rem_euclid(n),
            _ => i.clamp(0, n - 1),
        };
        at as u32
    }
    /// How much may be put at an end of `n` elements.
    fn limit(self, n: usize) -> usize {
        match self {
            Self::Reflect => n.saturating_sub(1),
            Self::Circular => n,
            Self::Replicate if n == 0 => 0,
            _ => isize::MAX as usize,
        }
    }
}

/// How [`Tensor::im2col`] and [`Tensor::col2im`] lay windows over images; each is `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowOptions {
    /// Distance of neighbouring windows.
    pub stride: [usize; 2],
    /// Zeros on both sides.
    pub padding: [usize; 2],
    /// Distance of neighbouring elements of a window.
    pub dilation: [usize; 2],
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self { stride: [1; 2], padding: [0; 2], dilation: [1; 2] }
    }
}

impl WindowOptions {
    /// How many windows of `kernel` lie along the dimensions of `size`.
    fn counts(&self, op: &'static str, size: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2]> {
        if kernel.contains(&0) || self.stride.contains(&0) || self.dilation.contains(&0) {
            return Err(Error::argument(op, format!("kernel {kernel:?} and {self:?} must be positive")));
        }
        let count = |i: usize| {
            let padded = self.padding[i].checked_mul(2)?.checked_add(size[i])?;
            let steps = padded.checked_sub((kernel[i] - 1).checked_mul(self.dilation[i])?)?.checked_sub(1)?;
            Some(steps / self.stride[i] + 1)
        };
        match (count(0), count(1)) {
            (Some(h), Some(w)) => Ok([h, w]),
            _ => Err(Error::shape(op, format!("windows of {kernel:?} are larger than the padded size {size:?}"))),
        }
    }
    fn pads(&self, sign: isize) -> [isize; 4] {
        let [h, w] = self.padding.map(|p| p as isize * sign);
        [w, w, h, h]
    }
}

#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// With borders around the last dimensions, in PyTorch's order: `[left, right, top, bottom, …]`, the last dimension
    /// first. Negative numbers cut. The borders of [`PadMode::Reflect`] are smaller than the dimension.
    ///
    /// ```
    /// use votive::{Device, Tensor, tensor::PadMode};
    /// let x = Tensor::new([[1f32, 2.0, 3.0]], &Device::cpu())?;
    /// assert_eq!(x.pad(&[2, 1], PadMode::Reflect)?.to_vec_sync::<f32>()?, [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    /// assert_eq!(x.pad(&[-1, 1], PadMode::Constant(9.0))?.to_vec_sync::<f32>()?, [2.0, 3.0, 9.0]);
    /// assert_eq!(x.pad(&[0, 0, 1, 0], PadMode::Replicate)?.dims(), [2, 3]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn pad(&self, pads: &[isize], mode: PadMode) -> Result<Tensor> {
        if !pads.len().is_multiple_of(2) || pads.len() > 2 * self.rank() {
            let message = format!("{pads:?} is not a pair for each of some last dimensions of {}", self.shape());
            return Err(Error::argument("pad", message));
        }
        let pairs = pads.chunks_exact(2).enumerate();
        pairs.into_iter().try_fold(self.clone(), |x, (i, pair)| x.pad_dim(self.rank() - 1 - i, pair[0], pair[1], mode))
    }
    fn pad_dim(&self, dim: usize, low: isize, high: isize, mode: PadMode) -> Result<Tensor> {
        if (low, high) == (0, 0) {
            return Ok(self.clone());
        }
        let n = self.dims()[dim];
        let fail = |why: &str| {
            let message = format!("{low} and {high} at dimension {dim} of {}: {why}", self.shape());
            Err(Error::argument("pad", message))
        };
        let Some(size) = n.checked_add_signed(low).and_then(|n| n.checked_add_signed(high)) else {
            return fail("nothing is left");
        };
        let (before, after) = (low.max(0) as usize, high.max(0) as usize);
        if before.max(after) > mode.limit(n) {
            return fail("the border is larger than the mode allows");
        }
        let PadMode::Constant(value) = mode else {
            if u32::try_from(n).is_err() {
                return fail("the dimension has more elements than u32 can count");
            }
            let places: Vec<u32> = (0..size as isize).map(|i| mode.source(i - low, n as isize)).collect();
            return self.index_select(dim as isize, &Tensor::from_slice(&places, size, self.device())?);
        };
        let border = |size: usize| {
            let mut dims = self.dims().to_vec();
            dims[dim] = size;
            self.scalar_like(value)?.broadcast_to(dims)
        };
        let parts = match (before, after) {
            (0, 0) => vec![self.clone()],
            (0, after) => vec![self.clone(), border(after)?],
            (before, 0) => vec![border(before)?, self.clone()],
            (before, after) => vec![border(before)?, self.clone(), border(after)?],
        };
        let padded = Self::cat(&parts.iter().collect::<Vec<_>>(), dim as isize)?;
        padded.narrow(dim as isize, low.min(0).unsigned_abs(), size)
    }
    /// All windows of `size` elements that begin every `step` along `dim`, which becomes the windows; their elements are a new
    /// last dimension. A view, as in PyTorch: nothing is copied.
    ///
    /// ```
    /// use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 3.0, 4.0], &Device::cpu())?;
    /// assert_eq!(x.unfold(0, 2, 1)?.to_vec_sync::<f32>()?, [1.0, 2.0, 2.0, 3.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn unfold(&self, dim: isize, size: usize, step: usize) -> Result<Tensor> {
        let dim = self.shape().dim("unfold", dim)?;
        let Some(steps) = self.dims()[dim].checked_sub(size).filter(|_| step > 0) else {
            let message = format!("no windows of {size} every {step} along dimension {dim} of {}", self.shape());
            return Err(Error::argument("unfold", message));
        };
        if self.dtype().is_quantized() {
            return Err(Error::dtype("unfold", format!("{} is a block format", self.dtype())));
        }
        let layout = self.layout();
        let (mut dims, mut strides) = (layout.dims().to_vec(), layout.strides().to_vec());
        dims[dim] = steps / step + 1;
        dims.push(size);
        strides.push(strides[dim]);
        strides[dim] = strides[dim].saturating_mul(step);
        let windows = Layout::new(dims.into(), strides, layout.start());
        if windows.shape().checked_elements().is_none() {
            return Err(Error::shape("unfold", format!("{} has more elements than can be counted", windows.shape())));
        }
        Ok(self.view_as(ViewOp::Unfold { dim, step }, windows))
    }
    /// The windows of images `[n, c, h, w]` as columns `[n, c * kh * kw, windows]`: PyTorch's `nn.functional.unfold`.
    ///
    /// ```
    /// use votive::{DType, Device, Tensor, tensor::WindowOptions};
    /// let x = Tensor::ones([1, 3, 8, 8], DType::F32, &Device::cpu())?;
    /// let columns = x.im2col([2, 2], &WindowOptions { stride: [2, 2], ..Default::default() })?;
    /// assert_eq!(columns.dims(), [1, 12, 16]);
    /// let again = columns.col2im([8, 8], [2, 2], &WindowOptions { stride: [2, 2], ..Default::default() })?;
    /// assert_eq!(again.to_vec_sync::<f32>()?, x.to_vec_sync::<f32>()?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn im2col(&self, kernel: [usize; 2], options: &WindowOptions) -> Result<Tensor> {
        let &[n, c, h, w] = self.dims() else {
            return Err(Error::shape("im2col", format!("{} should be [n, c, height, width]", self.shape())));
        };
        let [oh, ow] = options.counts("im2col", [h, w], kernel)?;
        let padded = self.pad(&options.pads(1), PadMode::Constant(0.0))?;
        let rows = windows(&padded, 2, kernel[0], options.stride[0], options.dilation[0])?;
        let taps = windows(&rows, 3, kernel[1], options.stride[1], options.dilation[1])?;
        taps.permute([0, 1, 4, 5, 2, 3])?.reshape([n, c * kernel[0] * kernel[1], oh * ow])
    }
    /// Columns `[n, c * kh * kw, windows]` added at their windows of images of `size`: PyTorch's `nn.functional.fold`.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::WindowOptions};
    /// let x = Tensor::new([[[1f32, 2.0], [10.0, 20.0]]], &Device::cpu())?;
    /// assert_eq!(x.col2im([1, 3], [1, 2], &WindowOptions::default())?.to_vec_sync::<f32>()?, [1.0, 12.0, 20.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn col2im(&self, size: [usize; 2], kernel: [usize; 2], options: &WindowOptions) -> Result<Tensor> {
        let [oh, ow] = options.counts("col2im", size, kernel)?;
        let taps = kernel[0].checked_mul(kernel[1]);
        let &[n, columns, l] = self.dims() else {
            return Err(Error::shape("col2im", format!("{} should be [n, c * kh * kw, windows]", self.shape())));
        };
        let Some(taps) = taps.filter(|&taps| columns.is_multiple_of(taps) && l == oh * ow) else {
            let why = format!("columns of windows {kernel:?} over {size:?} are [n, c * kh * kw, {oh} * {ow}]");
            return Err(Error::shape("col2im", format!("{}: {why}", self.shape())));
        };
        let spread = self.reshape([n, columns / taps, kernel[0], kernel[1], oh, ow])?.permute([0, 1, 4, 2, 5, 3])?;
        let [h, w] = [0, 1].map(|i| size[i] + 2 * options.padding[i]);
        let rows = fold(&spread, 4, w, options.stride[1], options.dilation[1])?;
        fold(&rows, 2, h, options.stride[0], options.dilation[0])?.pad(&options.pads(-1), PadMode::Constant(0.0))
    }
    /// `[.., c * f², h, w]` → `[.., c, h * f, w * f]` for a factor f (Shi et al. 2016).
    ///
    /// ```
    /// use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32]], [[2.0]], [[3.0]], [[4.0]]], &Device::cpu())?;
    /// let y = x.pixel_shuffle(2)?;
    /// assert_eq!((y.dims(), y.to_vec_sync::<f32>()?), (&[1, 2, 2][..], vec![1.0, 2.0, 3.0, 4.0]));
    /// assert_eq!(y.pixel_unshuffle(2)?.dims(), [4, 1, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn pixel_shuffle(&self, factor: usize) -> Result<Tensor> {
        let (outer, [c, h, w], square) = self.pixels("pixel_shuffle", factor)?;
        if !c.is_multiple_of(square) {
            let message = format!("{c} channels of {} are no multiple of {factor}²", self.shape());
            return Err(Error::shape("pixel_shuffle", message));
        }
        let f = factor;
        let spread = self.reshape([&outer[..], &[c / square, f, f, h, w]].concat())?;
        let r = outer.len();
        let order: Vec<_> = (0..r).chain([r, r + 3, r + 1, r + 4, r + 2]).collect();
        spread.permute(order)?.reshape([&outer[..], &[c / square, h * f, w * f]].concat())
    }
    /// The reverse of [`Tensor::pixel_shuffle`]: `[.., c, h * f, w * f]` → `[.., c * f², h, w]`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 2.0], [3.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(x.pixel_unshuffle(2)?.to_vec3_sync::<f32>()?, [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn pixel_unshuffle(&self, factor: usize) -> Result<Tensor> {
        let (outer, [c, h, w], square) = self.pixels("pixel_unshuffle", factor)?;
        if !(h.is_multiple_of(factor) && w.is_multiple_of(factor)) {
            let message = format!("height and width of {} are no multiples of {factor}", self.shape());
            return Err(Error::shape("pixel_unshuffle", message));
        }
        let f = factor;
        let spread = self.reshape([&outer[..], &[c, h / f, f, w / f, f]].concat())?;
        let r = outer.len();
        let order: Vec<_> = (0..r).chain([r, r + 2, r + 4, r + 1, r + 3]).collect();
        let channels =
            c.checked_mul(square).ok_or_else(|| Error::argument("pixel_unshuffle", "the factor is too large"))?;
        spread.permute(order)?.reshape([&outer[..], &[channels, h / f, w / f]].concat())
    }
    /// Outer dimensions, those of the images, and the square of the factor.
    fn pixels(&self, op: &'static str, factor: usize) -> Result<(Vec<usize>, [usize; 3], usize)> {
        let square = factor.checked_mul(factor).filter(|&square| square > 0);
        match (self.dims(), square) {
            (&[ref outer @ .., c, h, w], Some(square)) => Ok((outer.to_vec(), [c, h, w], square)),
            (_, None) => Err(Error::argument(op, format!("a factor of {factor}"))),
            _ => Err(Error::shape(op, format!("{} should be [.., channels, height, width]", self.shape()))),
        }
    }
}
