//! Decoder-only language models: one implementation, told apart by [`DecoderConfig`].

use super::{
    attention::Attention,
    config::{BlockKind, DecoderConfig, NormKind},
    mlp::Mlp,
    names::{Names, Part, Top, original_part},
};
use crate::{
    autograd::no_grad,
    device::Device,
    error::{Error, Result},
    nn::{
        Adaptable, AdapterSite, Embedding, KvCache, LayerNorm, Linear, Module, Norm, RmsNorm, RopeScaling, RopeTables,
        RotaryEmbedding, Weights, linears,
    },
    tensor::Tensor,
};
use std::ops::ControlFlow;

/// How far loading is.
#[derive(Clone, Copy, Debug)]
pub struct LoadProgress<'a> {
    /// The weight just loaded.
    pub tensor: &'a str,
    /// Bytes of weights loaded so far.
    pub loaded_bytes: u64,
    /// Bytes of all weights in the checkpoint.
    pub total_bytes: u64,
}

/// What one run through the blocks has beside its input: `batch` sequences of equal length.
pub(super) struct Pass<'a> {
    pub batch: usize,
    pub cache: Option<&'a mut KvCache>,
    pub training: bool,
}

/// A decoder-only language model on a device.
pub struct Decoder {
    config: DecoderConfig,
    device: Device,
    embedding: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
    rope: RotaryEmbedding,
    local_rope: Option<RotaryEmbedding>,
}

struct Block {
    attention_norm: Norm,
    attention: Attention,
    post_attention_norm: Option<Norm>,
    /// `None` when attention and MLP share a norm.
    mlp_norm: Option<Norm>,
    mlp: Mlp,
    post_mlp_norm: Option<Norm>,
    /// The MLP reads the block's input, not attention's result.
    parallel: bool,
    /// Rotates with the local rotary embedding.
    local: bool,
}

impl Decoder {
    /// Loads the weights, a tensor at a time, under GGUF or Hugging Face names. `progress` hears of each, and stops the
    /// loading ([`Error::Aborted`]) by answering `Break`.
    pub async fn load(
        config: DecoderConfig,
        weights: &Weights,
        progress: &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        let names = Names::detect(weights, &config)?;
        let mut loader = Loader { weights, names, norm: config.norm, eps: config.norm_eps, progress };
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let embedding = Embedding::load(&loader.top(Top::Embedding), vocab, hidden).await?;
        loader.report(&loader.names.top(Top::Embedding))?;
        let mut blocks = Vec::with_capacity(config.layers());
        for layer in 0..config.layers() {
            blocks.push(Block::load(&mut loader, &config, layer).await?);
        }
        let norm_weights = loader.top(Top::Norm);
        let norm = loader.norm_at(&norm_weights, hidden).await?;
        let head_weights = loader.top(Top::Head);
        let head = if config.tied_embeddings || !head_weights.contains("weight") {
            embedding.tied_head()
        } else {
            Linear::load(&head_weights, hidden, vocab, head_weights.contains("bias")).await?
        };
        loader.report(&loader.names.top(Top::Head))?;
        let scaling = rope_factors(weights, &config).await?;
        let (layout, dims, device) = (config.rope_layout, config.rope_dims, weights.device());
        let rope = RotaryEmbedding::new(layout, dims, config.rope.base, scaling, device)?;
        let local_rope = match &config.local_rope {
            Some(local) => Some(RotaryEmbedding::new(layout, dims, local.base, local.scaling.clone(), device)?),
            None => None,
        };
        Ok(Self { device: device.clone(), embedding, blocks, norm, head, rope, local_rope, config })
    }

    /// What kind of model this is.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }
    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }
    /// An empty cache for a new conversation.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new(self.config.layers())
    }

    /// Runs `ids` behind what is in the cache, adds them to it, and returns the logits of the last position, f32
    /// `[1, vocab]`. After an error the cache is empty. Nothing is recorded for gradients: see [`Decoder::forward_train`].
    pub fn forward(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor> {
        self.forward_ids(&self.ids(ids)?, cache)
    }

    /// As [`Decoder::forward`], of ids `[t]` that are on the device. Whether they are in the vocabulary is not checked.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn forward_ids(&self, ids: &Tensor, cache: &mut KvCache) -> Result<Tensor> {
        if ids.elements() == 0 {
            return Err(Error::argument("forward", "no tokens"));
        }
        no_grad(|| {
            let hidden = self.run(ids, cache)?;
            self.logits(&hidden.narrow(0, ids.elements() - 1, 1)?)
        })
    }

    /// Makes room for `tokens` in the cache, and what else depends on their number, ahead of their time.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn reserve(&self, tokens: usize, cache: &mut KvCache) -> Result<()> {
        cache.reserve(tokens);
        for rope in [Some(&self.rope), self.local_rope.as_ref()].into_iter().flatten() {
            rope.tables(0, tokens)?;
        }
        Ok(())
    }

    /// As [`Decoder::forward`], with the logits of every position of `ids`, `[t, vocab]`.
    pub fn forward_all(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor> {
        no_grad(|| {
            let hidden = self.run(&self.ids(ids)?, cache)?;
            self.logits(&hidden)
        })
    }

    /// The logits `[batch, t, vocab]` of a batch of sequences of `t` tokens each, with gradients to adapters
    /// ([`Lora`](crate::nn::Lora)) and to whatever else is trained; dropout drops. Sequences that are shorter are filled
    /// up at their ends with any token, and the logits there left out of the loss: no token sees those behind it.
    ///
    /// To compute the logits of some positions only, which are a large part of the work, see [`Decoder::hidden_train`].
    ///
    /// # Errors
    /// When there are no tokens, sequences differ in length, or a token is not in the vocabulary.
    pub fn forward_train(&self, sequences: &[impl AsRef<[u32]>]) -> Result<Tensor> {
        self.logits(&self.hidden_train(sequences)?)
    }

    /// The residual stream `[batch, t, hidden]` behind the last block, as in [`Decoder::forward_train`]: any rows of it can
    /// be given to [`Decoder::logits`].
    ///
    /// # Errors
    /// As [`Decoder::forward_train`].
    pub fn hidden_train(&self, sequences: &[impl AsRef<[u32]>]) -> Result<Tensor> {
        let count = sequences.first().map_or(0, |ids| ids.as_ref().len());
        if let Some(other) = sequences.iter().find(|ids| ids.as_ref().len() != count) {
            let message = format!("sequences of {count} and {} tokens in one batch", other.as_ref().len());
            return Err(Error::argument("forward_train", message));
        }
        let ids: Vec<u32> = sequences.iter().flat_map(|ids| ids.as_ref()).copied().collect();
        let mut pass = Pass { batch: sequences.len(), cache: None, training: true };
        self.run_blocks(&self.ids(&ids)?, &mut pass)?.reshape([sequences.len(), count, self.config.hidden_size])
    }

    /// The residual stream `[t, hidden]` behind the last block.
    fn run(&self, ids: &Tensor, cache: &mut KvCache) -> Result<Tensor> {
        if cache.layers() != self.blocks.len() {
            let message = format!("a cache of {} layers for a model of {}", cache.layers(), self.blocks.len());
            return Err(Error::argument("forward", message));
        }
        let result = self.run_blocks(ids, &mut Pass { batch: 1, cache: Some(cache), training: false });
        match result {
            Ok(_) => cache.advance(ids.elements()),
            Err(_) => cache.clear(), // some layers may have taken the tokens and some not
        }
        result
    }

    /// The tokens on the device.
    fn ids(&self, ids: &[u32]) -> Result<Tensor> {
        if ids.is_empty() {
            return Err(Error::argument("forward", "no tokens"));
        }
        match ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            Some(id) => {
                let message = format!("token {id} in a vocabulary of {}", self.config.vocab_size);
                Err(Error::argument("forward", message))
            }
            None => Tensor::from_slice(ids, [ids.len()], &self.device),
        }
    }

    /// The residual stream `[batch * t, hidden]` behind the last block.
    fn run_blocks(&self, ids: &Tensor, pass: &mut Pass<'_>) -> Result<Tensor> {
        let (start, count) = (pass.cache.as_ref().map_or(0, |cache| cache.len()), ids.elements() / pass.batch);
        let tables = self.rope.tables(start, count)?;
        let local_tables = self.local_rope.as_ref().map(|rope| rope.tables(start, count)).transpose()?;
        let mut x = self.embedding.forward(ids)?;
        if self.config.embedding_scale != 1.0 {
            x = x.affine(self.config.embedding_scale, 0.0)?;
        }
        for (layer, block) in self.blocks.iter().enumerate() {
            let tables = local_tables.as_ref().filter(|_| block.local).unwrap_or(&tables);
            x = block.forward(&x, tables, pass, layer)?;
        }
        Ok(x)
    }

    /// The logits `[.., vocab]` of rows `[.., hidden]` of the residual stream behind the last block.
    ///
    /// # Errors
    /// When the rows are of another size.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let mut logits = linears(hidden, Some(&self.norm), &[&self.head], false)?;
        if self.config.logit_scale != 1.0 {
            logits = logits.affine(self.config.logit_scale, 0.0)?;
        }
        if let Some(cap) = self.config.logit_softcap {
            logits = logits.affine(1.0 / cap, 0.0)?.tanh()?.affine(cap, 0.0)?;
        }
        Ok(logits)
    }
}

impl Block {
    async fn load(loader: &mut Loader<'_>, config: &DecoderConfig, layer: usize) -> Result<Self> {
        let hidden = config.hidden_size;
        let attention_norm = loader.norm(layer, Part::AttentionNorm, hidden).await?;
        let attention = Attention::load(loader, config, layer).await?;
        let mlp_norm = match config.block {
            BlockKind::ParallelSharedNorm => None,
            _ => Some(loader.norm(layer, Part::MlpNorm, hidden).await?),
        };
        let mlp = Mlp::load(loader, config, layer).await?;
        let (post_attention_norm, post_mlp_norm) = match config.post_norms {
            true => (
                Some(loader.norm(layer, Part::PostAttentionNorm, hidden).await?),
                Some(loader.norm(layer, Part::PostMlpNorm, hidden).await?),
            ),
            false => (None, None),
        };
        let local = config.local_rope.is_some() && config.windows.get(layer).is_some_and(Option::is_some);
        let parallel = config.block != BlockKind::Sequential;
        Ok(Self { attention_norm, attention, post_attention_norm, mlp_norm, mlp, post_mlp_norm, parallel, local })
    }

    fn forward(&self, x: &Tensor, rope: &RopeTables, pass: &mut Pass<'_>, layer: usize) -> Result<Tensor> {
        let training = pass.training;
        // A norm that both halves read is computed once, others with the projections behind them.
        let shared = match &self.mlp_norm {
            Some(_) => None,
            None => Some(self.attention_norm.forward(x)?),
        };
        let (source, norm) = match &shared {
            Some(normed) => (normed, None),
            None => (x, Some(&self.attention_norm)),
        };
        let attended = self.attention.forward(source, norm, rope, pass, layer)?;
        let joined = add(x, self.attention.output(), &attended, self.post_attention_norm.as_ref(), training)?;
        let source = shared.as_ref().unwrap_or(if self.parallel { x } else { &joined });
        let inner = self.mlp.forward(source, self.mlp_norm.as_ref(), training)?;
        add(&joined, self.mlp.down(), &inner, self.post_mlp_norm.as_ref(), training)
    }
}

/// `residual + norm(layer(x))`.
fn add(residual: &Tensor, layer: &Linear, x: &Tensor, norm: Option<&Norm>, training: bool) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.forward_add(&layer.forward_t(x, training)?, residual),
        None => layer.forward_add(x, residual, training),
    }
}

impl Adaptable for Decoder {
    fn visit_linears(&mut self, visit: &mut dyn FnMut(AdapterSite<'_>) -> Result<()>) -> Result<()> {
        for (layer, block) in self.blocks.iter_mut().enumerate() {
            let name = |part: Part| original_part(&self.config.architecture, layer, part);
            block.attention.visit_linears(&self.config, &name, visit)?;
            block.mlp.visit_linears(&name, visit)?;
        }
        Ok(())
    }
}

/// Rope scaling with the factors that GGUF files keep as tensors.
async fn rope_factors(weights: &Weights, config: &DecoderConfig) -> Result<RopeScaling> {
    let count = config.rope_dims / 2;
    let read = async |name: &str| -> Result<Vec<f64>> {
        let values = weights.get_f32(name, [count]).await?.to_vec::<f32>().await?;
        match values.iter().find(|v| !(v.is_finite() && **v > 0.0)) {
            Some(v) => Err(Error::weight(name, format!("holds {v}; wanted positive factors"))),
            None => Ok(values.into_iter().map(f64::from).collect()),
        }
    };
    Ok(match &config.rope.scaling {
        RopeScaling::LongRope { short, original, attention_factor, .. } if short.is_empty() => RopeScaling::LongRope {
            short: read("rope_factors_short.weight").await?,
            long: read("rope_factors_long.weight").await?,
            original: *original,
            attention_factor: *attention_factor,
        },
        RopeScaling::None if weights.contains("rope_freqs.weight") => {
            RopeScaling::Factors(read("rope_freqs.weight").await?)
        }
        stated => stated.clone(),
    })
}

/// Loads the parts of a decoder by name and tells how far it is.
pub(super) struct Loader<'a> {
    weights: &'a Weights,
    names: Names,
    norm: NormKind,
    eps: f64,
    progress: &'a mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
}

impl Loader<'_> {
    fn top(&self, top: Top) -> Weights {
        self.weights.pp(&self.names.top(top))
    }
    pub async fn linear(
        &mut self,
        layer: usize,
        part: Part,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear> {
        let name = self.names.part(layer, part);
        let linear = Linear::load(&self.weights.pp(&name), inputs, outputs, bias).await?;
        self.report(&name)?;
        Ok(linear)
    }
    pub async fn rms_norm(&mut self, layer: usize, part: Part, size: usize) -> Result<RmsNorm> {
        let offset = if let NormKind::Rms { offset } = self.norm { offset } else { 0.0 };
        RmsNorm::load(&self.weights.pp(&self.names.part(layer, part)), size, self.eps, offset).await
    }
    async fn norm(&mut self, layer: usize, part: Part, size: usize) -> Result<Norm> {
        let weights = self.weights.pp(&self.names.part(layer, part));
        self.norm_at(&weights, size).await
    }
    async fn norm_at(&self, weights: &Weights, size: usize) -> Result<Norm> {
        Ok(match self.norm {
            NormKind::Rms { offset } => Norm::Rms(RmsNorm::load(weights, size, self.eps, offset).await?),
            NormKind::Layer => Norm::Layer(LayerNorm::load(weights, size, self.eps, true).await?),
        })
    }
    /// Tells `progress` that the weight under `name` is there.
    fn report(&mut self, name: &str) -> Result<()> {
        let (loaded_bytes, total_bytes) = (self.weights.loaded_bytes(), self.weights.total_bytes());
        match (self.progress)(LoadProgress { tensor: name, loaded_bytes, total_bytes }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Aborted),
        }
    }
}
