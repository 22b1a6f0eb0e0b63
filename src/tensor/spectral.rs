//! Fourier transforms of real signals; complex numbers are pairs in a last dimension of 2, as PyTorch's `view_as_real`.

use super::{PadMode, Tensor};
use crate::{
    error::{Error, Result},
    op::{Op, pad::fold},
};

/// How [`Tensor::stft`] cuts a signal into frames, and [`Tensor::istft`] joins them. Names and defaults are those of
/// PyTorch's `stft`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StftOptions {
    /// Elements of a frame, and numbers transformed.
    pub n_fft: usize,
    /// Distance of neighbouring frames; a quarter of `n_fft` if absent.
    pub hop_length: Option<usize>,
    /// Elements of the window, which is in the middle of the frame; `n_fft` if absent.
    pub win_length: Option<usize>,
    /// Frames have their middle where they begin without this: the signal is padded by half a frame at both ends.
    pub center: bool,
    /// What it is padded with.
    pub pad_mode: PadMode,
    /// Divide by the root of `n_fft`.
    pub normalized: bool,
    /// Only the frequencies up to half of `n_fft`; the others mirror them.
    pub onesided: bool,
}

impl Default for StftOptions {
    fn default() -> Self {
        Self {
            n_fft: 400,
            hop_length: None,
            win_length: None,
            center: true,
            pad_mode: PadMode::Reflect,
            normalized: false,
            onesided: true,
        }
    }
}

impl StftOptions {
    /// The hop, and the window as long as a frame.
    fn frames(&self, op: &'static str, like: &Tensor, window: Option<&Tensor>) -> Result<(usize, Option<Tensor>)> {
        let hop = self.hop_length.unwrap_or(self.n_fft / 4);
        let length = self.win_length.unwrap_or(self.n_fft);
        if self.n_fft == 0 || hop == 0 || length == 0 || length > self.n_fft {
            let message = format!(
                "frames of {}, hop {hop}, window of {length}: none is 0, the window at most a frame",
                self.n_fft
            );
            return Err(Error::argument(op, message));
        }
        if let Some(window) = window
            && window.dims() != [length]
        {
            return Err(Error::shape(op, format!("the window {} should be [{length}]", window.shape())));
        }
        if window.is_none() && length == self.n_fft {
            return Ok((hop, None));
        }
        let ones = || Self::ones(length, like);
        let window = window.map_or_else(ones, |window| window.to_dtype(like.dtype()))?;
        let before = (self.n_fft - length) / 2;
        let after = self.n_fft - length - before;
        Ok((hop, Some(window.pad(&[before as isize, after as isize], PadMode::Constant(0.0))?)))
    }
    fn ones(length: usize, like: &Tensor) -> Result<Tensor> {
        Tensor::ones(length, like.dtype(), like.device())
    }
}

impl Tensor {
    /// The discrete Fourier transform of real numbers along the last dimension: `[.., n]` → `[.., n/2 + 1, 2]`.
    ///
    /// ```
    /// use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0, 3.0, 4.0], &Device::cpu())?;
    /// let f = x.rfft()?;
    /// assert_eq!(f.to_vec_sync::<f32>()?, [10.0, 0.0, -2.0, 2.0, -2.0, 0.0]);
    /// assert_eq!(f.irfft(4)?.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it is not a float or has no elements along the last dimension.
    pub fn rfft(&self) -> Result<Tensor> {
        Self::apply(Op::Rfft, &[self])
    }
    /// The inverse of [`Tensor::rfft`]: `[.., n/2 + 1, 2]` → `[.., n]`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[10f32, 0.0], [-2.0, 2.0], [-2.0, 0.0]], &Device::cpu())?;
    /// assert_eq!(x.irfft(4)?.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the shape is not that.
    pub fn irfft(&self, n: usize) -> Result<Tensor> {
        Self::apply(Op::Irfft { n }, &[self])
    }
    /// The short-time Fourier transform of signals `[length]` or `[n, length]`: `[.., frequencies, frames, 2]`, as
    /// PyTorch's `stft(…, return_complex=False)`. Without a `window` all elements of a frame count alike.
    ///
    /// ```
    /// use votive::{DType, Device, Tensor, tensor::StftOptions};
    /// let x = Tensor::arange(0.0, 64.0, DType::F32, &Device::cpu())?;
    /// let options = StftOptions { n_fft: 16, ..Default::default() };
    /// let f = x.stft(None, &options)?;
    /// assert_eq!(f.dims(), [9, 17, 2]);
    /// let again = f.istft(None, Some(64), &options)?.to_vec_sync::<f32>()?;
    /// assert!((again[10] - 10.0).abs() < 1e-4);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the signal is shorter than a frame, or window, hop and frame do not fit together.
    pub fn stft(&self, window: Option<&Tensor>, options: &StftOptions) -> Result<Tensor> {
        const OP: &str = "stft";
        if !(1..=2).contains(&self.rank()) {
            return Err(Error::shape(OP, format!("{} should be [length] or [batch, length]", self.shape())));
        }
        let n = options.n_fft;
        let (hop, window) = options.frames(OP, self, window)?;
        let half = (n / 2) as isize;
        let x = if options.center { self.pad(&[half, half], options.pad_mode)? } else { self.clone() };
        if x.dim(-1)? < n {
            return Err(Error::shape(OP, format!("{} is shorter than a frame of {n}", self.shape())));
        }
        let mut frames = x.unfold(-1, n, hop)?;
        if let Some(window) = window {
            frames = frames.mul(&window)?;
        }
        let mut f = frames.rfft()?;
        if options.normalized {
            f = f.mul_scalar((n as f64).powf(-0.5))?;
        }
        if !options.onesided {
            // Frequency n - k is the conjugate of k.
            let mirrored: Vec<u32> = (1..n.div_ceil(2) as u32).rev().collect();
            let mirrored = f.index_select(-2, &Tensor::from_slice(&mirrored, mirrored.len(), self.device())?)?;
            let signs = self.values_like(&[1.0, -1.0], 2)?;
            f = Tensor::cat(&[&f, &mirrored.mul(&signs)?], -2)?;
        }
        f.transpose(-3, -2)
    }
    /// The signal of which this is the [`Tensor::stft`] by the same window and options, by least squares (Griffin & Lim
    /// 1984); `length` cuts or pads it with zeros.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor, tensor::StftOptions};
    /// let x = Tensor::arange(0.0, 16.0, DType::F32, &Device::cpu())?;
    /// let options = StftOptions { n_fft: 4, ..Default::default() };
    /// let again = x.stft(None, &options)?.istft(None, None, &options)?;
    /// assert!(again.allclose_sync(&x, 0.0, 1e-5, false)?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the shape is not that of a transform by these options, or the windows leave an element uncovered.
    pub fn istft(&self, window: Option<&Tensor>, length: Option<usize>, options: &StftOptions) -> Result<Tensor> {
        const OP: &str = "istft";
        let n = options.n_fft;
        let (hop, window) = options.frames(OP, self, window)?;
        let frequencies = if options.onesided { n / 2 + 1 } else { n };
        let &[ref outer @ .., f, count, 2] = self.dims() else {
            return Err(Error::shape(OP, format!("{} should be [.., frequencies, frames, 2]", self.shape())));
        };
        if outer.len() > 1 || f != frequencies || count == 0 {
            let message =
                format!("{} should be [{frequencies}, frames, 2] or [batch, {frequencies}, frames, 2]", self.shape());
            return Err(Error::shape(OP, message));
        }
        let mut x = self.transpose(-3, -2)?.narrow(-2, 0, n / 2 + 1)?.irfft(n)?;
        if options.normalized {
            x = x.mul_scalar((n as f64).sqrt())?;
        }
        let whole = (count - 1) * hop + n;
        let mut squares = StftOptions::ones(n, self)?;
        if let Some(window) = &window {
            x = x.mul(window)?;
            squares = window.sqr()?;
        }
        let x = fold(&x, outer.len(), whole, hop, 1)?;
        let envelope = fold(&squares.broadcast_to([count, n])?, 0, whole, hop, 1)?;
        let start = if options.center { n / 2 } else { 0 };
        let end = match length {
            Some(length) => start + length,
            None => whole - start,
        };
        let Some(kept) = end.min(whole).checked_sub(start).filter(|&kept| kept > 0) else {
            return Err(Error::argument(OP, format!("{count} frames of {n} leave nothing")));
        };
        let (x, envelope) = (x.narrow(-1, start, kept)?, envelope.narrow(0, start, kept)?);
        let x = x.div(&envelope)?;
        match end.checked_sub(whole) {
            Some(missing) => x.pad(&[0, missing as isize], PadMode::Constant(0.0)),
            None => Ok(x),
        }
    }
}
