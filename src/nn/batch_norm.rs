//! Normalisation over channels: of a batch, of groups, of each image.

use super::{Init, Module, Parameter, Weights};
use crate::{
    autograd::no_grad,
    error::{Error, Result},
    tensor::Tensor,
};

/// Batch norm of `[n, c]` or `[n, c, length]`.
pub type BatchNorm1d = BatchNorm<1>;
/// Batch norm of images `[n, c, height, width]`.
pub type BatchNorm2d = BatchNorm<2>;

/// Batch normalisation (Ioffe & Szegedy 2015): each channel minus its mean, over its standard deviation. While training
/// these are the batch's, and running averages of them are kept for when the model is used.
///
/// ```
/// use votive::{Device, Tensor, nn::{BatchNorm1d, BatchNormOptions, Module, Parameters, Weights}};
/// let parameters = Parameters::new();
/// let weights = Weights::from_parameters(&parameters, &Device::cpu());
/// let norm = votive::block_on(BatchNorm1d::load(&weights, 1, BatchNormOptions::default()))?;
/// let x = Tensor::new([[1.0f32], [3.0]], &Device::cpu())?;
/// let y = norm.forward_t(&x, true)?.to_vec_sync::<f32>()?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[1] - 1.0).abs() < 1e-4);
/// let mean = parameters.get("running_mean").unwrap().get();
/// assert_eq!(mean.to_vec_sync::<f32>()?, [0.2]);
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct BatchNorm<const N: usize> {
    affine: Affine,
    running: Option<Running>,
    options: BatchNormOptions,
}

/// How [`BatchNorm`] works; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// How much of a batch goes into the running averages; without it they are averages of all batches.
    pub momentum: Option<f64>,
    /// Has a weight and a bias.
    pub affine: bool,
    /// Keeps running averages; without them the batch's are used always.
    pub track_running_stats: bool,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: Some(0.1), affine: true, track_running_stats: true }
    }
}

/// Averages over batches, `[c]`.
#[derive(Clone)]
struct Running {
    mean: Parameter,
    variance: Parameter,
    /// How many batches; checkpoints need not have it.
    batches: Option<Parameter>,
}

/// An optional weight and bias for each channel, `[c]`.
#[derive(Clone)]
struct Affine(Option<(Parameter, Parameter)>);

impl Affine {
    async fn load(weights: &Weights, channels: usize, affine: bool) -> Result<Self> {
        if !affine {
            return Ok(Self(None));
        }
        let weight = weights.parameter_f32("weight", [channels], Init::ONES).await?;
        Ok(Self(Some((weight, weights.parameter_f32("bias", [channels], Init::ZEROS).await?))))
    }
    fn apply<T>(&self, f: impl FnOnce(Option<&Tensor>, Option<&Tensor>) -> Result<T>) -> Result<T> {
        match &self.0 {
            Some((weight, bias)) => f(Some(&weight.get()), Some(&bias.get())),
            None => f(None, None),
        }
    }
}

impl Running {
    async fn load(weights: &Weights, channels: usize) -> Result<Self> {
        let mean = weights.buffer("running_mean", [channels], Init::ZEROS).await?;
        let variance = weights.buffer("running_var", [channels], Init::ONES).await?;
        const BATCHES: &str = "num_batches_tracked";
        let batches = if weights.creates_missing() || weights.contains(BATCHES) {
            Some(weights.buffer(BATCHES, (), Init::ZEROS).await?)
        } else {
            None
        };
        Ok(Self { mean, variance, batches })
    }
    /// Takes a batch's mean and variance into the averages.
    fn update(&self, mean: &Tensor, variance: &Tensor, momentum: Option<f64>) -> Result<()> {
        no_grad(|| {
            let count = match &self.batches {
                Some(batches) => {
                    let count = batches.get().add_scalar(1.0)?;
                    batches.set(&count)?;
                    Some(count)
                }
                None => None,
            };
            let share = match (momentum, &count) {
                (Some(momentum), _) => Tensor::full(momentum, (), mean.dtype(), mean.device())?,
                (None, Some(count)) => count.recip()?.to_dtype(mean.dtype())?,
                (None, None) => {
                    let message = "averages of all batches need num_batches_tracked, which these weights lack";
                    return Err(Error::argument("batch_norm", message));
                }
            };
            for (held, new) in [(&self.mean, mean), (&self.variance, variance)] {
                let before = held.get();
                let new = new.to_dtype(before.dtype())?;
                held.set(&before.add(&new.sub(&before)?.mul(&share.to_dtype(before.dtype())?)?)?)?;
            }
            Ok(())
        })
    }
}

impl<const N: usize> BatchNorm<N> {
    /// Finds `weight`, `bias`, `running_mean`, `running_var` and `num_batches_tracked` under the prefix of `weights`. New ones
    /// are one, zero, zero, one and zero.
    ///
    /// # Errors
    /// When one is missing or of another shape; a checkpoint need not have `num_batches_tracked`.
    pub async fn load(weights: &Weights, channels: usize, options: BatchNormOptions) -> Result<Self> {
        let affine = Affine::load(weights, channels, options.affine).await?;
        let running = if options.track_running_stats { Some(Running::load(weights, channels).await?) } else { None };
        Ok(Self { affine, running, options })
    }
}

impl<const N: usize> Module for BatchNorm<N> {
    fn forward_t(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        if x.rank() != N + 2 && !(N == 1 && x.rank() == 2) {
            let wanted = if N == 1 { "[n, c] or [n, c, length]" } else { "[n, c, height, width]" };
            return Err(Error::shape("batch_norm", format!("{} is not {wanted}", x.shape())));
        }
        let BatchNormOptions { eps, momentum, .. } = self.options;
        match &self.running {
            Some(running) if !training => {
                let (mean, variance) = (running.mean.get(), running.variance.get());
                self.affine.apply(|weight, bias| x.batch_norm(&mean, &variance, weight, bias, eps))
            }
            running => {
                let (y, mean, variance) = self.affine.apply(|weight, bias| x.batch_norm_train(weight, bias, eps))?;
                if let (Some(running), true) = (running, training) {
                    running.update(&mean, &variance, momentum)?;
                }
                Ok(y)
            }
        }
    }
}

/// Normalisation of `[n, c, ..]` over groups of neighbouring channels (Wu & He 2018), with a weight and a bias for each
/// channel unless `affine` is off.
#[derive(Clone)]
pub struct GroupNorm {
    groups: usize,
    eps: f64,
    affine: Affine,
}

impl GroupNorm {
    /// Finds `weight` and `bias` under the prefix of `weights`, if `affine`. New ones are one and zero.
    ///
    /// # Errors
    /// When one is missing or of another shape, or the channels are not equal groups.
    pub async fn load(weights: &Weights, groups: usize, channels: usize, eps: f64, affine: bool) -> Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::argument("group_norm", format!("{channels} channels are not {groups} equal groups")));
        }
        Ok(Self { groups, eps, affine: Affine::load(weights, channels, affine).await? })
    }
}

impl Module for GroupNorm {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        self.affine.apply(|weight, bias| x.group_norm(self.groups, weight, bias, self.eps))
    }
}

/// Normalisation of each channel of each `[n, c, ..]` by itself (Ulyanov et al. 2016).
#[derive(Clone)]
pub struct InstanceNorm {
    eps: f64,
    affine: Affine,
}

impl InstanceNorm {
    /// Finds `weight` and `bias` under the prefix of `weights`, if `affine` (PyTorch's default is not). New ones are one and
    /// zero.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub async fn load(weights: &Weights, channels: usize, eps: f64, affine: bool) -> Result<Self> {
        Ok(Self { eps, affine: Affine::load(weights, channels, affine).await? })
    }
}

impl Module for InstanceNorm {
    fn forward_t(&self, x: &Tensor, _: bool) -> Result<Tensor> {
        self.affine.apply(|weight, bias| x.instance_norm(weight, bias, self.eps))
    }
}
