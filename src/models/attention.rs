//! The attention half of a block.

use super::{
    config::{DecoderConfig, Fusion},
    decoder::Loader,
    names::Part,
};
use crate::{
    error::{Error, Result},
    nn::{KvCache, Linear, Parameter, RmsNorm, RopeTables, RotaryEmbedding},
    tensor::{AttentionOptions, Tensor},
};

pub(super) struct Attention {
    projections: Projections,
    norms: Option<(RmsNorm, RmsNorm)>,
    output: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    options: AttentionOptions,
}

/// The projections to queries, keys and values.
enum Projections {
    Separate {
        query: Linear,
        key: Linear,
        value: Linear,
    },
    /// One weight: all queries, then all keys, then all values.
    Fused(Linear),
}

impl Attention {
    pub async fn load(loader: &mut Loader<'_>, config: &DecoderConfig, layer: usize) -> Result<Self> {
        let &DecoderConfig { hidden_size: hidden, heads, kv_heads, head_dim, qkv_bias: bias, .. } = config;
        let (q_size, kv_size) = (heads * head_dim, kv_heads * head_dim);
        let projections = match config.qkv {
            Fusion::Separate => Projections::Separate {
                query: loader.linear(layer, Part::Query, hidden, q_size, bias).await?,
                key: loader.linear(layer, Part::Key, hidden, kv_size, bias).await?,
                value: loader.linear(layer, Part::Value, hidden, kv_size, bias).await?,
            },
            fusion => {
                let fused = loader.linear(layer, Part::Qkv, hidden, q_size + 2 * kv_size, bias).await?;
                Projections::Fused(match fusion {
                    Fusion::Grouped if kv_heads > 1 => ungroup(&fused, config)?,
                    _ => fused,
                })
            }
        };
        let norms = match config.qk_norm {
            true => Some((
                loader.rms_norm(layer, Part::QueryNorm, head_dim).await?,
                loader.rms_norm(layer, Part::KeyNorm, head_dim).await?,
            )),
            false => None,
        };
        let output = loader.linear(layer, Part::Output, q_size, hidden, config.output_bias).await?;
        let options = AttentionOptions {
            scale: config.attention_scale as f32,
            causal: true,
            window: config.windows.get(layer).copied().flatten(),
            softcap: config.attention_softcap.map(|cap| cap as f32),
        };
        Ok(Self { projections, norms, output, heads, kv_heads, head_dim, options })
    }

    /// `[t, hidden]` → `[t, hidden]`; adds the keys and values to layer `layer` of the cache.
    pub fn forward(
        &self,
        x: &Tensor,
        rope: &RotaryEmbedding,
        tables: &RopeTables,
        cache: &mut KvCache,
        layer: usize,
    ) -> Result<Tensor> {
        let &[count, _] = x.dims() else {
            return Err(Error::shape("attention", format!("input {} is not [t, hidden]", x.shape())));
        };
        let (q, k, v) = match &self.projections {
            Projections::Separate { query, key, value } => (query.forward(x)?, key.forward(x)?, value.forward(x)?),
            Projections::Fused(qkv) => {
                let all = qkv.forward(x)?;
                let (q_size, kv_size) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
                let kv = |at: usize| all.narrow(-1, at, kv_size);
                (all.narrow(-1, 0, q_size)?, kv(q_size)?, kv(q_size + kv_size)?)
            }
        };
        let (mut q, mut k) = (self.split(&q, self.heads)?, self.split(&k, self.kv_heads)?);
        if let Some((q_norm, k_norm)) = &self.norms {
            (q, k) = (q_norm.forward(&q)?, k_norm.forward(&k)?);
        }
        let (q, k) = (rope.apply(&q, tables)?, rope.apply(&k, tables)?);
        let (keys, values) = cache.append(layer, &k, &self.split(&v, self.kv_heads)?)?;
        let mixed = q.attention(&keys, &values, None, self.options)?;
        // One token's heads already lie side by side.
        let mixed = if count == 1 { mixed } else { mixed.permute([0, 2, 1, 3])? };
        self.output.forward(&mixed.reshape([count, self.heads * self.head_dim])?)
    }

    /// `[t, heads * d]` → `[1, heads, t, d]`.
    fn split(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let count = x.dims()[0];
        if count == 1 {
            return x.reshape([1, heads, 1, self.head_dim]);
        }
        x.reshape([1, count, heads, self.head_dim])?.permute([0, 2, 1, 3])
    }
}

/// Reorders the rows of a fused projection from "queries, key, value of each group" to "all queries, all keys, all values".
fn ungroup(fused: &Linear, config: &DecoderConfig) -> Result<Linear> {
    let &DecoderConfig { heads, kv_heads, head_dim, .. } = config;
    let per_group = heads / kv_heads;
    let group = (per_group + 2) * head_dim;
    let rows_of = |first: usize, count: usize| {
        (0..kv_heads).flat_map(move |g| (0..count * head_dim).map(move |i| (g * group + first * head_dim + i) as u32))
    };
    let order: Vec<u32> = rows_of(0, per_group).chain(rows_of(per_group, 1)).chain(rows_of(per_group + 1, 1)).collect();
    let order = Tensor::from_slice(&order, [order.len()], fused.weight().device())?;
    let take = |t: Tensor| t.index_select(0, &order).map(Parameter::from);
    Ok(Linear::new(take(fused.weight())?, fused.bias().map(take).transpose()?))
}
