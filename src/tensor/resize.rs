//! Images and signals in another size.

use super::{Tensor, pool::compute_dtype};
use crate::error::{Error, Result};

/// How [`Tensor::interpolate`] finds values between elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The element whose range the place falls into.
    Nearest,
    /// Linear along each dimension (`linear`, `bilinear`).
    Bilinear,
    /// Cubic convolution along each dimension with a = -0.75 (`bicubic`; Keys 1981).
    Bicubic,
}

/// The size that [`Tensor::interpolate`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InterpolateSize<'a> {
    /// Of each dimension after batch and channels.
    Size(&'a [usize]),
    /// Factors of those sizes; places are computed by them, as PyTorch does.
    Scale(&'a [f64]),
}

/// What is weighed for each output along one dimension: some elements, a weight for each.
type Taps = Vec<(Vec<u32>, Vec<f64>)>;

/// Distance of outputs in inputs, and the first one's place.
struct Places {
    step: f64,
    align_corners: bool,
}

impl Places {
    fn at(&self, i: usize) -> f64 {
        if self.align_corners { i as f64 * self.step } else { (i as f64 + 0.5) * self.step - 0.5 }
    }
}

fn taps(mode: Interpolation, input: usize, outputs: usize, places: &Places) -> Taps {
    let last = input as isize - 1;
    let index = |i: isize| i.clamp(0, last) as u32;
    match mode {
        Interpolation::Nearest => {
            // In f32, as PyTorch: which side a border falls on is a matter of rounding.
            let step = places.step as f32;
            let indices = (0..outputs).map(|i| index((i as f32 * step).floor() as isize)).collect();
            vec![(indices, Vec::new())]
        }
        Interpolation::Bilinear => {
            let at: Vec<f64> = (0..outputs).map(|i| places.at(i).max(0.0)).collect();
            let tap = |k: isize| {
                let weight = |x: f64| if k == 0 { 1.0 - x.fract() } else { x.fract() };
                (at.iter().map(|&x| index(x as isize + k)).collect(), at.iter().map(|&x| weight(x)).collect())
            };
            vec![tap(0), tap(1)]
        }
        Interpolation::Bicubic => {
            let near = |x: f64| (1.25 * x - 2.25) * x * x + 1.0;
            let far = |x: f64| ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0;
            let at: Vec<f64> = (0..outputs).map(|i| places.at(i)).collect();
            let tap = |k: isize| {
                let weight = |x: f64| {
                    let t = (x - x.floor() - k as f64).abs();
                    if t <= 1.0 { near(t) } else { far(t) }
                };
                (at.iter().map(|&x| index(x.floor() as isize + k)).collect(), at.iter().map(|&x| weight(x)).collect())
            };
            (-1..=2).map(tap).collect()
        }
    }
}

impl Tensor {
    /// A batch of signals `[n, c, length]` or images `[n, c, h, w]` in another size, as PyTorch's
    /// `nn.functional.interpolate`. With `align_corners` the first and last elements stay where they are; the nearest element
    /// takes no notice of it.
    ///
    /// ```
    /// use votive::{Device, Tensor, tensor::{InterpolateSize, Interpolation}};
    /// let x = Tensor::new([[[0f32, 2.0]]], &Device::cpu())?;
    /// let y = x.interpolate(InterpolateSize::Size(&[3]), Interpolation::Bilinear, true)?;
    /// assert_eq!(y.to_vec_sync::<f32>()?, [0.0, 1.0, 2.0]);
    /// let y = x.interpolate(InterpolateSize::Scale(&[2.0]), Interpolation::Nearest, false)?;
    /// assert_eq!(y.to_vec_sync::<f32>()?, [0.0, 0.0, 2.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When sizes are not one for each dimension after batch and channels, or zero, and when the dtype is not a float
    /// (the nearest element: any).
    pub fn interpolate(&self, size: InterpolateSize<'_>, mode: Interpolation, align_corners: bool) -> Result<Tensor> {
        const OP: &str = "interpolate";
        let spatial = self.dims().get(2..).unwrap_or_default();
        let given = match size {
            InterpolateSize::Size(sizes) => sizes.len(),
            InterpolateSize::Scale(scales) => scales.len(),
        };
        if spatial.is_empty() || given != spatial.len() {
            let message =
                format!("{size:?} is not one for each dimension after batch and channels of {}", self.shape());
            return Err(Error::argument(OP, message));
        }
        if mode != Interpolation::Nearest && !self.dtype().is_float() {
            return Err(Error::dtype(OP, format!("takes floats, got {}; cast with to_dtype", self.dtype())));
        }
        let wide = if mode == Interpolation::Nearest { self.clone() } else { self.to_dtype(compute_dtype(self))? };
        let resized = spatial.iter().enumerate().try_fold(wide, |x, (i, &input)| {
            let (output, step) = match size {
                InterpolateSize::Size(sizes) => (sizes[i], input as f64 / sizes[i] as f64),
                InterpolateSize::Scale(scales) => ((input as f64 * scales[i]) as usize, 1.0 / scales[i]),
            };
            if input == 0 || output == 0 || u32::try_from(output).is_err() || u32::try_from(input).is_err() {
                let message = format!("dimension {} of {} to {output} elements", i + 2, self.shape());
                return Err(Error::argument(OP, message));
            }
            let align_corners = align_corners && mode != Interpolation::Nearest;
            let step = match align_corners {
                true if output > 1 => (input - 1) as f64 / (output - 1) as f64,
                true => 0.0,
                false => step,
            };
            if (output, step) == (input, 1.0) {
                return Ok(x);
            }
            x.resample(i + 2, &taps(mode, input, output, &Places { step, align_corners }))
        })?;
        resized.to_dtype(self.dtype())
    }
    /// For each output along `dim` the weighted sum of some elements.
    fn resample(&self, dim: usize, taps: &Taps) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (indices, weights) in taps {
            let indices = Tensor::from_slice(indices, indices.len(), self.device())?;
            let mut part = self.index_select(dim as isize, &indices)?;
            if !weights.is_empty() {
                let mut shape = vec![1; self.rank() - dim];
                shape[0] = weights.len();
                part = part.mul(&self.values_like(weights, shape)?)?;
            }
            sum = Some(match sum {
                Some(sum) => sum.add(&part)?,
                None => part,
            });
        }
        sum.ok_or_else(|| Error::argument("interpolate", "no elements to weigh"))
    }
}
