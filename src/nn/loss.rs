//! Losses, with PyTorch's names, reductions and conventions.

use crate::{
    dtype::DType,
    error::{Error, Result},
    tensor::Tensor,
};

/// What becomes of the loss of each element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Stays.
    None,
    /// The mean; weighted where elements have weights by class.
    #[default]
    Mean,
    /// The sum.
    Sum,
    /// The sum divided by the first dimension: the mathematical Kullback-Leibler divergence of a batch.
    BatchMean,
}

impl Reduction {
    fn of(self, losses: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(losses.clone()),
            Self::Mean => losses.mean(..),
            Self::Sum => losses.sum(..),
            Self::BatchMean => losses.sum(..)?.mul_scalar(1.0 / losses.dims().first().map_or(1.0, |&n| n as f64)),
        }
    }
}

fn same_shape(op: &'static str, input: &Tensor, target: &Tensor) -> Result<()> {
    if input.shape() == target.shape() {
        return Ok(());
    }
    Err(Error::shapes(op, input.shape(), target.shape(), "input and target should have one shape"))
}

/// Options of [`cross_entropy`] and [`nll_loss`].
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyOptions<'a> {
    /// A weight for each class, `[classes]`.
    pub weight: Option<&'a Tensor>,
    /// Targets of this value do not count.
    pub ignore_index: i64,
    /// This much of the target is spread evenly over all classes (Szegedy et al. 2016). Only of [`cross_entropy`].
    pub label_smoothing: f64,
    /// What becomes of the loss of each element.
    pub reduction: Reduction,
}

impl Default for CrossEntropyOptions<'_> {
    fn default() -> Self {
        Self { weight: None, ignore_index: -100, label_smoothing: 0.0, reduction: Reduction::Mean }
    }
}

/// Cross-entropy of logits `[n, classes, ..]` (or `[classes]`) and targets: integer classes `[n, ..]` (or a scalar), or
/// probabilities of the logits' shape.
///
/// ```
/// use votive::{Device, Tensor, nn::loss::{CrossEntropyOptions, cross_entropy}};
/// let logits = Tensor::new([[2.0f32, 0.0, 0.0], [0.0, 1.0, 0.0]], &Device::cpu())?.requires_grad();
/// let targets = Tensor::new([0u32, 1], &Device::cpu())?;
/// let loss = cross_entropy(&logits, &targets, CrossEntropyOptions::default())?;
/// assert!((loss.to_vec_sync::<f32>()?[0] - 0.39549).abs() < 1e-4);
/// let smooth = CrossEntropyOptions { label_smoothing: 0.1, ..CrossEntropyOptions::default() };
/// let smoothed = cross_entropy(&logits, &targets, smooth)?;
/// assert_eq!(smoothed.backward()?.get(&logits).unwrap().dims(), [2, 3]);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When shapes do not fit, a target is no class, or the logits are no floats.
pub fn cross_entropy(logits: &Tensor, target: &Tensor, options: CrossEntropyOptions<'_>) -> Result<Tensor> {
    const OP: &str = "cross_entropy";
    let smoothing = options.label_smoothing;
    if !(0.0..=1.0).contains(&smoothing) {
        return Err(Error::argument(OP, format!("label smoothing {smoothing} is not between 0 and 1")));
    }
    let dim = class_dim(OP, logits)?;
    let log_probs = logits.log_softmax(dim as isize)?;
    if target.dtype().is_float() {
        return with_probabilities(&log_probs, target, dim, options);
    }
    let classes = Classes::new(OP, &log_probs, target, options)?;
    let losses = classes.losses(&log_probs)?;
    if smoothing == 0.0 {
        return classes.reduce(&losses, options.reduction);
    }
    let even = match &options.weight {
        Some(weight) => log_probs.mul(&per_class(OP, weight, &log_probs, dim)?)?,
        None => log_probs.clone(),
    };
    let even = classes.masked(even.sum(dim as isize)?)?;
    let count = log_probs.dims()[dim] as f64;
    let mixed = losses.mul_scalar(1.0 - smoothing)?.sub(&even.mul_scalar(smoothing / count)?)?;
    classes.reduce(&mixed, options.reduction)
}

/// The negative of the log-probability `[n, classes, ..]` that a model gives to the class of each target: the second half
/// of [`cross_entropy`], after `log_softmax`.
///
/// ```
/// use votive::{Device, Tensor, nn::loss::{CrossEntropyOptions, nll_loss}};
/// let log_probs = Tensor::new([[0.25f32, 0.75], [0.5, 0.5]], &Device::cpu())?.log()?;
/// let targets = Tensor::new([1i64, -100], &Device::cpu())?; // the second does not count
/// let loss = nll_loss(&log_probs, &targets, CrossEntropyOptions::default())?;
/// assert!((loss.to_vec_sync::<f32>()?[0] - 0.28768).abs() < 1e-4);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When shapes do not fit, a target is no class, or label smoothing is asked for.
pub fn nll_loss(log_probs: &Tensor, target: &Tensor, options: CrossEntropyOptions<'_>) -> Result<Tensor> {
    if options.label_smoothing != 0.0 {
        return Err(Error::argument("nll_loss", "has no label smoothing; use cross_entropy"));
    }
    let classes = Classes::new("nll_loss", log_probs, target, options)?;
    classes.reduce(&classes.losses(log_probs)?, options.reduction)
}

/// Which dimension holds the classes.
fn class_dim(op: &'static str, input: &Tensor) -> Result<usize> {
    match input.rank() {
        0 => Err(Error::shape(op, "a scalar holds no classes")),
        1 => Ok(0),
        _ => Ok(1),
    }
}

/// A weight `[classes]` that broadcasts over `input`.
fn per_class(op: &'static str, weight: &Tensor, input: &Tensor, dim: usize) -> Result<Tensor> {
    if weight.dims() != [input.dims()[dim]] {
        let why = format!("weights should be [{}], one for each class", input.dims()[dim]);
        return Err(Error::shapes(op, input.shape(), weight.shape(), why));
    }
    let mut shape = vec![1; input.rank()];
    shape[dim] = weight.elements();
    weight.to_dtype(input.dtype())?.reshape(shape)
}

/// Integer targets, checked, with what each of them weighs.
struct Classes {
    dim: usize,
    /// Targets, with 0 for those that do not count.
    target: Tensor,
    /// 1 where a target counts; `None` when all do.
    counts: Option<Tensor>,
    /// Weight of each target, 0 where it does not count; `None` when all weigh 1.
    weight: Option<Tensor>,
}

impl Classes {
    fn new(op: &'static str, log_probs: &Tensor, target: &Tensor, options: CrossEntropyOptions<'_>) -> Result<Self> {
        let dim = class_dim(op, log_probs)?;
        let mut wanted = log_probs.dims().to_vec();
        wanted.remove(dim);
        if target.dims() != wanted {
            let why = format!("targets should be classes {wanted:?}");
            return Err(Error::shapes(op, log_probs.shape(), target.shape(), why));
        }
        if !target.dtype().is_int() {
            return Err(Error::dtype(op, format!("targets are integer classes, not {}", target.dtype())));
        }
        let ignore = options.ignore_index;
        let possible = match target.dtype() {
            DType::U8 => u8::try_from(ignore).is_ok(),
            DType::U32 => u32::try_from(ignore).is_ok(),
            DType::I32 => i32::try_from(ignore).is_ok(),
            _ => true,
        };
        let (target, counts) = if possible {
            let counts = target.ne_scalar(ignore as f64)?;
            (counts.where_cond(target, &target.zeros_like()?)?, Some(counts.to_dtype(log_probs.dtype())?))
        } else {
            (target.clone(), None)
        };
        let weight = match options.weight {
            Some(weight) => {
                per_class(op, weight, log_probs, dim)?;
                let of_target = weight.to_dtype(log_probs.dtype())?.index_select(0, &target.flatten_all()?)?;
                let of_target = of_target.reshape(target.shape())?;
                Some(counts.as_ref().map_or(Ok(of_target.clone()), |counts| of_target.mul(counts))?)
            }
            None => counts.clone(),
        };
        Ok(Self { dim, target, counts, weight })
    }
    /// The weighted loss of each target.
    fn losses(&self, log_probs: &Tensor) -> Result<Tensor> {
        let dim = self.dim as isize;
        let losses = log_probs.gather(dim, &self.target.unsqueeze(dim)?)?.squeeze(dim)?.neg()?;
        match &self.weight {
            Some(weight) => losses.mul(weight),
            None => Ok(losses),
        }
    }
    /// With zeros where a target does not count.
    fn masked(&self, x: Tensor) -> Result<Tensor> {
        match &self.counts {
            Some(counts) => x.mul(counts),
            None => Ok(x),
        }
    }
    /// The mean is that of the weights: their sum divides.
    fn reduce(&self, losses: &Tensor, reduction: Reduction) -> Result<Tensor> {
        match (&self.weight, reduction) {
            (Some(weight), Reduction::Mean) => losses.sum(..)?.div(&weight.sum(..)?),
            _ => reduction.of(losses),
        }
    }
}

fn with_probabilities(
    log_probs: &Tensor,
    target: &Tensor,
    dim: usize,
    options: CrossEntropyOptions<'_>,
) -> Result<Tensor> {
    const OP: &str = "cross_entropy";
    same_shape(OP, log_probs, target)?;
    let smoothing = options.label_smoothing;
    let target = target.affine(1.0 - smoothing, smoothing / log_probs.dims()[dim].max(1) as f64)?;
    let mut products = log_probs.mul(&target)?;
    if let Some(weight) = options.weight {
        products = products.mul(&per_class(OP, weight, log_probs, dim)?)?;
    }
    options.reduction.of(&products.sum(dim as isize)?.neg()?)
}

/// Squared difference.
///
/// ```
/// use votive::{Device, Tensor, nn::loss::{Reduction, huber_loss, l1_loss, mse_loss, smooth_l1_loss}};
/// let x = Tensor::new([0.0f32, 3.0], &Device::cpu())?;
/// let y = x.zeros_like()?;
/// let value = |loss: Tensor| Ok::<f32, votive::Error>(loss.to_vec_sync::<f32>()?[0]);
/// assert_eq!(value(mse_loss(&x, &y, Reduction::Mean)?)?, 4.5);
/// assert_eq!(value(l1_loss(&x, &y, Reduction::Sum)?)?, 3.0);
/// assert_eq!(value(smooth_l1_loss(&x, &y, 2.0, Reduction::Sum)?)?, 2.0);
/// assert_eq!(value(huber_loss(&x, &y, 2.0, Reduction::Sum)?)?, 4.0);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When shapes or dtypes differ.
pub fn mse_loss(input: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
    same_shape("mse_loss", input, target)?;
    reduction.of(&input.sub(target)?.sqr()?)
}

/// Absolute difference. Example: see [`mse_loss`].
///
/// # Errors
/// When shapes or dtypes differ.
pub fn l1_loss(input: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
    same_shape("l1_loss", input, target)?;
    reduction.of(&input.sub(target)?.abs()?)
}

/// Half the squared difference up to `delta`, and from there linear with the same slope (Huber 1964). Example: see
/// [`mse_loss`].
///
/// # Errors
/// When shapes or dtypes differ, or `delta` is not positive.
pub fn huber_loss(input: &Tensor, target: &Tensor, delta: f64, reduction: Reduction) -> Result<Tensor> {
    const OP: &str = "huber_loss";
    same_shape(OP, input, target)?;
    if delta.is_nan() || delta <= 0.0 {
        return Err(Error::argument(OP, format!("delta {delta} is not positive")));
    }
    let difference = input.sub(target)?;
    let size = difference.abs()?;
    let linear = size.affine(delta, -0.5 * delta * delta)?;
    let near = size.lt_scalar(delta)?;
    reduction.of(&near.where_cond(&difference.sqr()?.mul_scalar(0.5)?, &linear)?)
}

/// [`huber_loss`] divided by `beta`; with 0 it is [`l1_loss`].
///
/// # Errors
/// When shapes or dtypes differ, or `beta` is negative.
pub fn smooth_l1_loss(input: &Tensor, target: &Tensor, beta: f64, reduction: Reduction) -> Result<Tensor> {
    if beta == 0.0 {
        return l1_loss(input, target, reduction);
    }
    huber_loss(input, target, beta, reduction)?.mul_scalar(1.0 / beta)
}

/// Binary cross-entropy of probabilities; logarithms are limited to -100, as in PyTorch. `weight` broadcasts over the losses.
/// [`binary_cross_entropy_with_logits`] is more accurate.
///
/// ```
/// use votive::{Device, Tensor, nn::loss::*};
/// let (logits, y) = (Tensor::new([0.0f32, 2.0], &Device::cpu())?, Tensor::new([1.0f32, 0.0], &Device::cpu())?);
/// let a = binary_cross_entropy(&logits.sigmoid()?, &y, None, Reduction::Mean)?.to_vec_sync::<f32>()?[0];
/// let b = binary_cross_entropy_with_logits(&logits, &y, BceOptions::default())?.to_vec_sync::<f32>()?[0];
/// assert!((a - 1.41004).abs() < 1e-4 && (a - b).abs() < 1e-5);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When shapes or dtypes differ.
pub fn binary_cross_entropy(
    input: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    reduction: Reduction,
) -> Result<Tensor> {
    same_shape("binary_cross_entropy", input, target)?;
    let log = |p: &Tensor| p.log()?.clamp(-100.0, f64::INFINITY);
    let (yes, no) = (log(input)?, log(&input.affine(-1.0, 1.0)?)?);
    let losses = target.mul(&yes)?.add(&target.affine(-1.0, 1.0)?.mul(&no)?)?.neg()?;
    weighted(&losses, weight, reduction)
}

fn weighted(losses: &Tensor, weight: Option<&Tensor>, reduction: Reduction) -> Result<Tensor> {
    match weight {
        Some(weight) => reduction.of(&losses.mul(&weight.broadcast_to(losses.shape())?)?),
        None => reduction.of(losses),
    }
}

/// Options of [`binary_cross_entropy_with_logits`].
#[derive(Clone, Copy, Debug, Default)]
pub struct BceOptions<'a> {
    /// Of each loss; broadcasts.
    pub weight: Option<&'a Tensor>,
    /// Of targets that are 1; broadcasts.
    pub pos_weight: Option<&'a Tensor>,
    /// What becomes of the loss of each element.
    pub reduction: Reduction,
}

/// Binary cross-entropy of logits and targets between 0 and 1. Example: see [`binary_cross_entropy`].
///
/// # Errors
/// When shapes or dtypes differ.
pub fn binary_cross_entropy_with_logits(logits: &Tensor, target: &Tensor, options: BceOptions<'_>) -> Result<Tensor> {
    same_shape("binary_cross_entropy_with_logits", logits, target)?;
    // (1 - y) x - (1 + (p - 1) y) log(sigmoid(x)), with p for the weight of positives.
    let mut positive = logits.logsigmoid()?.neg()?;
    if let Some(weight) = options.pos_weight {
        let factor = weight.add_scalar(-1.0)?.broadcast_to(target.shape())?.mul(target)?.add_scalar(1.0)?;
        positive = positive.mul(&factor)?;
    }
    let losses = target.affine(-1.0, 1.0)?.mul(logits)?.add(&positive)?;
    weighted(&losses, options.weight, options.reduction)
}

/// Kullback-Leibler divergence `target * (log(target) - input)` of log-probabilities `input`; the target is given as
/// probabilities or, with `log_target`, as their logarithms. [`Reduction::BatchMean`] is the one that mathematics means.
///
/// ```
/// use votive::{Device, Tensor, nn::loss::{Reduction, kl_div}};
/// let p = Tensor::new([[0.5f32, 0.5]], &Device::cpu())?;
/// let q = Tensor::new([[0.25f32, 0.75]], &Device::cpu())?.log()?;
/// let divergence = kl_div(&q, &p, false, Reduction::BatchMean)?.to_vec_sync::<f32>()?[0];
/// assert!((divergence - 0.14384).abs() < 1e-4);
/// # Ok::<(), votive::Error>(())
/// ```
///
/// # Errors
/// When shapes or dtypes differ.
pub fn kl_div(input: &Tensor, target: &Tensor, log_target: bool, reduction: Reduction) -> Result<Tensor> {
    same_shape("kl_div", input, target)?;
    if log_target {
        return reduction.of(&target.exp()?.mul(&target.sub(input)?)?);
    }
    // 0 log 0 is 0; the logarithm is taken of 1 there, so that no gradient is NaN.
    let some = target.gt_scalar(0.0)?;
    let own = target.mul(&some.where_cond(target, &target.ones_like()?)?.log()?)?;
    reduction.of(&own.sub(&target.mul(input)?)?)
}
