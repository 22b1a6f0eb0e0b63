//! Attention with several heads.

use super::{Dropout, Init, Linear, Module, Parameter, Weights};
use crate::{
    dtype::DType,
    error::{Error, Result},
    tensor::{AttentionOptions, Tensor},
};

/// How [`MultiHeadAttention`] is built; the defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiHeadAttentionOptions {
    /// Dropped from the attention weights while training.
    pub dropout: f64,
    /// The projections have biases.
    pub bias: bool,
    /// Size of keys, if it is not that of queries.
    pub key_size: Option<usize>,
    /// Size of values, if it is not that of queries.
    pub value_size: Option<usize>,
    /// Sequences are `[batch, time, size]` rather than `[time, batch, size]`.
    pub batch_first: bool,
}

impl Default for MultiHeadAttentionOptions {
    fn default() -> Self {
        Self { dropout: 0.0, bias: true, key_size: None, value_size: None, batch_first: false }
    }
}

/// What a query may look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionMask<'a> {
    /// u8 `[batch, keys]`: 1 for keys that are padding, which nothing looks at.
    pub key_padding: Option<&'a Tensor>,
    /// `[queries, keys]` or `[batch * heads, queries, keys]`: u8, 1 where a query may not look, or floats that are added to the
    /// scores.
    pub mask: Option<&'a Tensor>,
    /// No query looks at later keys.
    pub causal: bool,
}

impl AttentionMask<'_> {
    /// No query looks at later keys.
    pub const CAUSAL: Self = Self { key_padding: None, mask: None, causal: true };
}

/// Attention with several heads (Vaswani et al. 2017). The weights are called as PyTorch's: `in_proj_weight`,
/// `in_proj_bias`, `out_proj.weight`, `out_proj.bias`, and `q_proj_weight`, `k_proj_weight`, `v_proj_weight` where sizes
/// differ. A query that may look at nothing gives zeros, where PyTorch gives NaN; with weights or dropout it gives NaN here too.
///
/// ```
/// use votive::{DType, Device, Tensor};
/// use votive::nn::{AttentionMask, MultiHeadAttention, MultiHeadAttentionOptions, Parameters, Weights};
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// let options = MultiHeadAttentionOptions { batch_first: true, ..Default::default() };
/// let weights = Weights::from_parameters(&parameters, &cpu);
/// let attention = votive::block_on(MultiHeadAttention::load(&weights, 16, 4, options))?;
/// let x = Tensor::zeros([2, 5, 16], DType::F32, &cpu)?;
/// let y = attention.forward(&x, &x, &x, AttentionMask::CAUSAL)?;
/// assert_eq!(y.dims(), [2, 5, 16]);
/// let (_, weights) = attention.forward_with_weights(&x, &x, &x, AttentionMask::default(), false)?;
/// assert_eq!(weights.to_vec_sync::<f32>()?[..2], [0.2; 2]);
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct MultiHeadAttention {
    projections: Projections,
    bias: Option<Parameter>,
    output: Linear,
    heads: usize,
    size: usize,
    dropout: Dropout,
    batch_first: bool,
}

#[derive(Clone)]
enum Projections {
    /// Queries, keys and values, one below the other.
    Joint(Parameter),
    Apart([Parameter; 3]),
}

impl MultiHeadAttention {
    /// Finds the weights under the prefix of `weights`; `size` is that of queries and results. New ones are those of PyTorch.
    ///
    /// # Errors
    /// When one is missing or of another shape, or the size is not a multiple of the heads.
    pub async fn load(
        weights: &Weights,
        size: usize,
        heads: usize,
        options: MultiHeadAttentionOptions,
    ) -> Result<Self> {
        if heads == 0 || !size.is_multiple_of(heads) {
            let message = format!("size {size} is not a multiple of {heads} heads");
            return Err(Error::argument("multi_head_attention", message));
        }
        let xavier = Init::XavierUniform { gain: 1.0 };
        let (keys, values) = (options.key_size.unwrap_or(size), options.value_size.unwrap_or(size));
        let projections = if keys == size && values == size {
            Projections::Joint(weights.parameter("in_proj_weight", [3 * size, size], xavier).await?)
        } else {
            Projections::Apart([
                weights.parameter("q_proj_weight", [size, size], xavier).await?,
                weights.parameter("k_proj_weight", [size, keys], xavier).await?,
                weights.parameter("v_proj_weight", [size, values], xavier).await?,
            ])
        };
        let output = weights.pp("out_proj");
        let weight = output.parameter("weight", [size, size], Init::fan_in_uniform(size)).await?;
        let (bias, output) = if options.bias {
            let bias = weights.parameter_f32("in_proj_bias", [3 * size], Init::ZEROS).await?;
            (Some(bias), Linear::new(weight, Some(output.parameter_f32("bias", [size], Init::ZEROS).await?)))
        } else {
            (None, Linear::new(weight, None))
        };
        let dropout = Dropout::new(options.dropout)?;
        Ok(Self { projections, bias, output, heads, size, dropout, batch_first: options.batch_first })
    }

    /// Queries `[queries, batch, size]`, keys `[keys, batch, key size]` and values (or batch first, if so built; or without
    /// batch) to `[queries, batch, size]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor, mask: AttentionMask<'_>) -> Result<Tensor> {
        self.forward_t(q, k, v, mask, false)
    }
    /// [`MultiHeadAttention::forward`], with dropout when `training`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_t(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        mask: AttentionMask<'_>,
        training: bool,
    ) -> Result<Tensor> {
        let heads = self.split(q, k, v)?;
        let bias = heads.bias(mask)?;
        let mixed = if self.dropout.is_active(training) {
            let weights = heads.weights(bias.as_ref(), mask.causal)?;
            self.dropout.forward_t(&weights, true)?.matmul(&heads.v)?
        } else {
            let options =
                AttentionOptions { scale: heads.scale() as f32, causal: mask.causal, window: None, softcap: None };
            heads.q.attention(&heads.k, &heads.v, bias.as_ref(), options)?
        };
        self.join(&mixed, q.rank())
    }
    /// As [`MultiHeadAttention::forward_t`], with the attention weights averaged over heads, `[batch, queries, keys]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward_with_weights(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        mask: AttentionMask<'_>,
        training: bool,
    ) -> Result<(Tensor, Tensor)> {
        let heads = self.split(q, k, v)?;
        let weights = heads.weights(heads.bias(mask)?.as_ref(), mask.causal)?;
        let weights = self.dropout.forward_t(&weights, training)?;
        let out = self.join(&weights.matmul(&heads.v)?, q.rank())?;
        let mean = weights.mean(1)?;
        Ok((out, if q.rank() == 2 { mean.squeeze(0)? } else { mean }))
    }

    /// Projects queries, keys and values and cuts them into heads.
    fn split(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Heads> {
        let size = self.size;
        let bias = self.bias.as_ref().map(Parameter::get);
        let bias = |first: usize, count: usize| match &bias {
            Some(bias) => bias.narrow(0, first * size, count * size).map(Some),
            None => Ok(None),
        };
        let [q, k, v] = match &self.projections {
            // Of one sequence with itself: one product.
            Projections::Joint(weight) if std::ptr::eq(q, k) && std::ptr::eq(k, v) => {
                let all = q.linear(&weight.get(), bias(0, 3)?.as_ref())?;
                [all.narrow(-1, 0, size)?, all.narrow(-1, size, size)?, all.narrow(-1, 2 * size, size)?]
            }
            Projections::Joint(weight) => {
                let weight = weight.get();
                let one = |i: usize, x: &Tensor| x.linear(&weight.narrow(0, i * size, size)?, bias(i, 1)?.as_ref());
                [one(0, q)?, one(1, k)?, one(2, v)?]
            }
            Projections::Apart([query, key, value]) => {
                let one = |i: usize, weight: &Parameter, x: &Tensor| x.linear(&weight.get(), bias(i, 1)?.as_ref());
                [one(0, query, q)?, one(1, key, k)?, one(2, value, v)?]
            }
        };
        let heads = |x: &Tensor| -> Result<Tensor> {
            let x = match x.rank() {
                2 => x.unsqueeze(0)?,
                3 if self.batch_first => x.clone(),
                3 => x.transpose(0, 1)?,
                _ => {
                    let message = format!("{} is neither [time, batch, size] nor [time, size]", x.shape());
                    return Err(Error::shape("multi_head_attention", message));
                }
            };
            let (batch, time, _) = x.dims3()?;
            x.reshape([batch, time, self.heads, size / self.heads])?.transpose(1, 2)
        };
        Ok(Heads { q: heads(&q)?, k: heads(&k)?, v: heads(&v)? })
    }
    /// `[batch, heads, time, d]` → the layout of the input, through the output projection.
    fn join(&self, mixed: &Tensor, rank: usize) -> Result<Tensor> {
        let (batch, _, time, _) = mixed.dims4()?;
        let out = self.output.forward(&mixed.transpose(1, 2)?.reshape([batch, time, self.size])?)?;
        match rank {
            2 => out.squeeze(0),
            _ if self.batch_first => Ok(out),
            _ => out.transpose(0, 1),
        }
    }
}

/// Queries, keys and values of each head, `[batch, heads, time, d]`.
struct Heads {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl Heads {
    fn scale(&self) -> f64 {
        1.0 / (self.q.dims()[3] as f64).sqrt()
    }
    /// The masks as numbers to be added to the scores `[batch, heads, queries, keys]`.
    fn bias(&self, mask: AttentionMask<'_>) -> Result<Option<Tensor>> {
        const OP: &str = "multi_head_attention";
        let (batch, heads, queries, _) = self.q.dims4()?;
        let keys = self.k.dims()[2];
        let additive = |mask: &Tensor| match mask.dtype() {
            DType::U8 => {
                // 1 hides: minus infinity.
                let zeros = Tensor::zeros((), self.q.dtype(), mask.device())?;
                mask.where_cond(f64::NEG_INFINITY, &zeros)
            }
            dtype if dtype.is_float() => mask.to_dtype(self.q.dtype()),
            other => Err(Error::dtype(OP, format!("a mask is u8 (1 hides) or floats to add, not {other}"))),
        };
        let padding = match mask.key_padding {
            None => None,
            Some(padding) => {
                if padding.elements() != batch * keys || padding.dims().last() != Some(&keys) {
                    let message = format!("key padding {} where [{batch}, {keys}] is wanted", padding.shape());
                    return Err(Error::shape(OP, message));
                }
                Some(additive(padding)?.reshape([batch, 1, 1, keys])?)
            }
        };
        let given = match mask.mask {
            None => None,
            Some(mask) if mask.dims() == [queries, keys] => Some(additive(mask)?.reshape([1, 1, queries, keys])?),
            Some(mask) if mask.dims() == [batch * heads, queries, keys] => {
                Some(additive(mask)?.reshape([batch, heads, queries, keys])?)
            }
            Some(mask) => {
                let wanted = format!("[{queries}, {keys}] or [{}, {queries}, {keys}]", batch * heads);
                return Err(Error::shape(OP, format!("a mask {} where {wanted} is wanted", mask.shape())));
            }
        };
        Ok(match (padding, given) {
            (Some(a), Some(b)) => Some(a.add(&b)?),
            (a, b) => a.or(b),
        })
    }
    /// Attention weights `[batch, heads, queries, keys]`, where the fused operation does not give them.
    fn weights(&self, bias: Option<&Tensor>, causal: bool) -> Result<Tensor> {
        let mut scores = self.q.mul_scalar(self.scale())?.matmul(&self.k.transpose(-1, -2)?)?;
        if let Some(bias) = bias {
            scores = scores.add(bias)?;
        }
        if causal {
            let (queries, keys) = (self.q.dims()[2], self.k.dims()[2]);
            let later = Tensor::triu_mask(queries, keys, keys as isize - queries as isize + 1, scores.device())?;
            scores = scores.masked_fill(&later, f64::NEG_INFINITY)?;
        }
        scores.softmax(-1)
    }
}
