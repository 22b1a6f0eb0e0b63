//! The decoder: transformer layers over tokens that also attend to an encoded sound.

use super::{Mlp, Projections, config::WhisperConfig, join_heads, loader::Loader, split_heads};
use crate::{
    dtype::DType,
    error::{Error, Result},
    nn::{Embedding, KvCache, LayerNorm, Linear},
    tensor::Tensor,
};

pub(super) struct Decoder {
    embedding: Embedding,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    head: Linear,
    vocab_size: usize,
}

struct Layer {
    attention_norm: LayerNorm,
    attention: Projections,
    cross_norm: LayerNorm,
    cross: Projections,
    mlp_norm: LayerNorm,
    mlp: Mlp,
}

/// Keys and values of an encoded sound, of every decoder layer: each `[1, heads, frames, size]`.
pub struct CrossKeys(Vec<(Tensor, Tensor)>);

impl Decoder {
    pub async fn load(config: &WhisperConfig, loader: &mut Loader<'_>) -> Result<Self> {
        let (d, vocab_size) = (config.d_model, config.vocab_size);
        let table = loader.tensor("model.decoder.embed_tokens.weight", [vocab_size, d]).await?;
        let table = loader.quantized(table).await?;
        let embedding = Embedding::new(table.clone());
        // The head is the embedding, unless a file brings one of its own.
        let head = match loader.contains("proj_out.weight") {
            true => loader.linear("proj_out", d, vocab_size, false).await?,
            false => Linear::new(table, None),
        };
        let shape = [config.max_target_positions, d];
        let positions = loader.tensor("model.decoder.embed_positions.weight", shape).await?.to_dtype(DType::F32)?;
        let mut layers = Vec::with_capacity(config.decoder_layers);
        for i in 0..config.decoder_layers {
            let name = format!("model.decoder.layers.{i}");
            let heads = config.decoder_attention_heads;
            layers.push(Layer {
                attention_norm: loader.layer_norm(&format!("{name}.self_attn_layer_norm"), d).await?,
                attention: Projections::load(loader, &format!("{name}.self_attn"), d, heads, true).await?,
                cross_norm: loader.layer_norm(&format!("{name}.encoder_attn_layer_norm"), d).await?,
                cross: Projections::load(loader, &format!("{name}.encoder_attn"), d, heads, false).await?,
                mlp_norm: loader.layer_norm(&format!("{name}.final_layer_norm"), d).await?,
                mlp: Mlp::load(loader, &name, d, config.decoder_ffn_dim).await?,
            });
        }
        let norm = loader.layer_norm("model.decoder.layer_norm", d).await?;
        Ok(Self { embedding, positions, layers, norm, head, vocab_size })
    }

    pub fn cross_keys(&self, encoded: &Tensor) -> Result<CrossKeys> {
        let keys = self.layers.iter().map(|Layer { cross, .. }| {
            // Contiguous: every token reads them.
            let heads = |y: &Linear| split_heads(&y.forward(encoded)?, 1, cross.heads)?.contiguous();
            Ok((heads(&cross.key)?, heads(&cross.value)?))
        });
        keys.collect::<Result<_>>().map(CrossKeys)
    }

    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(hidden)
    }

    pub fn forward(&self, ids: &[u32], batch: usize, cross: &CrossKeys, cache: &mut KvCache) -> Result<Tensor> {
        let (mut x, t) = self.begin(ids, batch, cache)?;
        for (layer, keys) in self.layers.iter().zip(&cross.0).enumerate() {
            let (block, keys) = keys;
            x = block.attend(&x, batch, cache, layer).and_then(|x| Ok(block.listen(&x, keys)?.0)).inspect_err(
                |_| {
                    cache.clear(); // some layers may have taken the tokens and some not
                },
            )?;
        }
        cache.advance(t);
        self.norm.forward(&x)
    }

    /// Embeds the tokens: `[batch * t, d]`, and `t`.
    fn begin(&self, ids: &[u32], batch: usize, cache: &KvCache) -> Result<(Tensor, usize)> {
        let fail = |message: String| Err(Error::argument("decode", message));
        if ids.is_empty() || batch == 0 || !ids.len().is_multiple_of(batch) {
            return fail(format!("{} tokens for {batch} texts", ids.len()));
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            return fail(format!("token {id} in a vocabulary of {}", self.vocab_size));
        }
        let (t, start, (most, d)) = (ids.len() / batch, cache.len(), self.positions.dims2()?);
        if start + t > most {
            return fail(format!("{t} tokens behind {start}; the model has {most} positions"));
        }
        let ids = Tensor::from_slice(ids, [ids.len()], self.positions.device())?;
        let x = self.embedding.forward(&ids)?.reshape([batch, t, d])?;
        Ok((x.add(&self.positions.narrow(0, start, t)?)?.reshape([batch * t, d])?, t))
    }

    pub async fn align(
        &self,
        ids: &[u32],
        cross: &CrossKeys,
        frames: usize,
        heads: &[(usize, usize)],
        on_head: &mut dyn FnMut(&[f32]),
    ) -> Result<Tensor> {
        for &(layer, head) in heads {
            if self.layers.get(layer).is_none_or(|l| head >= l.cross.heads) {
                return Err(Error::argument("align", format!("there is no head {head} in a layer {layer}")));
            }
        }
        let mut cache = KvCache::new(self.layers.len());
        let (mut x, t) = self.begin(ids, 1, &cache)?;
        for (layer, (block, keys)) in self.layers.iter().zip(&cross.0).enumerate() {
            let y = block.attend(&x, 1, &mut cache, layer)?;
            let (y, queries) = block.listen(&y, keys)?;
            for &(_, head) in heads.iter().filter(|h| h.0 == layer) {
                let keys = keys.0.narrow(1, head, 1)?.narrow(2, 0, frames)?;
                let scores = queries.narrow(1, head, 1)?.matmul(&keys.transpose(-1, -2)?)?;
                let scores = scores.affine(f64::from(block.cross.options.scale), 0.0)?.reshape([t * frames])?;
                on_head(&scores.to_vec::<f32>().await?);
            }
            x = y;
        }
        self.norm.forward(&x)
    }
}

impl Layer {
    /// Attention to the text so far.
    fn attend(&self, x: &Tensor, batch: usize, cache: &mut KvCache, layer: usize) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let heads = |y: &Linear| split_heads(&y.forward(&normed)?, batch, self.attention.heads);
        let (q, k, v) = (heads(&self.attention.query)?, heads(&self.attention.key)?, heads(&self.attention.value)?);
        let (k, v) = cache.append(layer, &k, &v)?;
        let mixed = join_heads(&q.attention(&k, &v, None, self.attention.options)?)?;
        x.add(&self.attention.output.forward(&mixed)?)
    }

    /// Attention to the sound, then the feed-forward half; also gives the queries to the sound, `[1, heads, rows, size]`. All
    /// texts hear the same sound, so that they count as one text of more rows.
    fn listen(&self, x: &Tensor, keys: &(Tensor, Tensor)) -> Result<(Tensor, Tensor)> {
        let normed = self.cross_norm.forward(x)?;
        let queries = split_heads(&self.cross.query.forward(&normed)?, 1, self.cross.heads)?;
        let mixed = join_heads(&queries.attention(&keys.0, &keys.1, None, self.cross.options)?)?;
        let x = x.add(&self.cross.output.forward(&mixed)?)?;
        Ok((x.add(&self.mlp.forward(&self.mlp_norm.forward(&x)?)?)?, queries))
    }
}
