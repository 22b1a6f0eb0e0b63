//! The attention half of a block.

use super::{
    config::{DecoderConfig, Fusion},
    decoder::{Loader, Pass},
    names::Part,
};
use crate::{
    error::{Error, Result},
    nn::{AdapterSite, Linear, Norm, Parameter, RmsNorm, RopeTables, linears},
    op::RopeLayout,
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

    /// `[b * t, hidden]`, behind `norm` if there is one → `[b * t, heads * d]`, what the output projection is to be applied to;
    /// adds the keys and values to layer `layer` of the cache, if there is one.
    pub fn forward(
        &self,
        x: &Tensor,
        norm: Option<&Norm>,
        rope: &RopeTables,
        pass: &mut Pass<'_>,
        layer: usize,
    ) -> Result<Tensor> {
        let &[count, _] = x.dims() else {
            return Err(Error::shape("attention", format!("input {} is not [t, hidden]", x.shape())));
        };
        let all = match &self.projections {
            Projections::Separate { query, key, value } => linears(x, norm, &[query, key, value], pass.training)?,
            Projections::Fused(qkv) => linears(x, norm, &[qkv], pass.training)?,
        };
        let (queries, keys) = (self.heads, self.kv_heads);
        let all = all.reshape([pass.batch, count / pass.batch, (queries + 2 * keys) * self.head_dim])?;
        let heads = rope.heads(&all, queries, keys, self.norms.as_ref().map(|(q, k)| (q, k)))?;
        let (k, v) = match &mut pass.cache {
            Some(cache) => cache.append_joined(layer, &heads.narrow(1, queries, 2 * keys)?)?,
            None => (heads.narrow(1, queries, keys)?, heads.narrow(1, queries + keys, keys)?),
        };
        let mixed = heads.narrow(1, 0, queries)?.attention(&k, &v, None, self.options)?;
        // One token's heads already lie side by side.
        let mixed = if count == pass.batch { mixed } else { mixed.permute([0, 2, 1, 3])? };
        mixed.reshape([count, queries * self.head_dim])
    }

    /// From the heads back to the residual stream.
    pub fn output(&self) -> &Linear {
        &self.output
    }

    /// Shows the projections under the names of the original model.
    pub fn visit_linears(
        &mut self,
        config: &DecoderConfig,
        name: &dyn Fn(Part) -> String,
        visit: &mut dyn FnMut(AdapterSite<'_>) -> Result<()>,
    ) -> Result<()> {
        // GGUF files of Llama keep the rows of queries and keys in the order of interleaved rotation.
        let interleaved = config.rope_layout == RopeLayout::Interleaved;
        let order = |heads: usize| interleaved.then(|| interleaved_rows(heads, config.head_dim));
        let mut show = |part: Part, linear: &mut Linear, order: Option<Vec<u32>>| {
            visit(AdapterSite { name: &name(part), linear, order })
        };
        match &mut self.projections {
            Projections::Separate { query, key, value } => {
                show(Part::Query, query, order(self.heads))?;
                show(Part::Key, key, order(self.kv_heads))?;
                show(Part::Value, value, None)?;
            }
            Projections::Fused(qkv) => {
                let grouped = config.architecture.starts_with("falcon") && self.kv_heads > 1;
                show(Part::Qkv, qkv, grouped.then(|| ungrouped_rows(config)))?;
            }
        }
        show(Part::Output, &mut self.output, None)
    }
}

/// For each row of an interleaved projection, the row in the original's order, where the halves of a head rotate together.
fn interleaved_rows(heads: usize, head_dim: usize) -> Vec<u32> {
    let half = head_dim / 2;
    (0..heads * head_dim).map(|i| (i / head_dim * head_dim + i % 2 * half + i % head_dim / 2) as u32).collect()
}

/// For each row of "all queries, all keys, all values", the row in "queries, key, value of each group".
fn ungrouped_rows(config: &DecoderConfig) -> Vec<u32> {
    let &DecoderConfig { heads, kv_heads, head_dim, .. } = config;
    let per_group = heads / kv_heads;
    let group = (per_group + 2) * head_dim;
    let rows_of = |first: usize, count: usize| {
        (0..kv_heads).flat_map(move |g| (0..count * head_dim).map(move |i| (g * group + first * head_dim + i) as u32))
    };
    rows_of(0, per_group).chain(rows_of(per_group, 1)).chain(rows_of(per_group + 1, 1)).collect()
}

/// Reorders the rows of a fused projection from "queries, key, value of each group" to "all queries, all keys, all values".
fn ungroup(fused: &Linear, config: &DecoderConfig) -> Result<Linear> {
    let order = ungrouped_rows(config);
    let order = Tensor::from_slice(&order, [order.len()], fused.weight().device())?;
    let take = |t: Tensor| t.index_select(0, &order).map(Parameter::from);
    Ok(Linear::new(take(fused.weight())?, fused.bias().map(take).transpose()?))
}
