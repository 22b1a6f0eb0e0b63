//! Whisper (Radford et al. 2022), all sizes and its distilled descendants: an encoder of log-mel spectrograms and a decoder of
//! tokens that attends to it.

mod config;
mod decoder;
mod encoder;
mod loader;
#[cfg(test)]
mod tests;

pub use config::WhisperConfig;
pub use decoder::CrossKeys;
pub use encoder::EncoderState;

use super::LoadProgress;
use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    nn::{KvCache, Linear, Weights},
    tensor::{AttentionOptions, Tensor},
};
use decoder::Decoder;
use encoder::Encoder;
use loader::Loader;
use std::ops::ControlFlow;

/// Whisper's encoder and decoder on a device.
///
/// Weights are read under the names of Hugging Face's or of OpenAI's checkpoints, in any float or block dtype.
pub struct Whisper {
    config: WhisperConfig,
    device: Device,
    encoder: Encoder,
    decoder: Decoder,
}

impl Whisper {
    /// Loads the weights, a tensor at a time. The matrices of linear layers are quantized to `quantize` if that is given
    /// and they are floats (to 32-value blocks of about the same size where their rows are no multiple of 256).
    ///
    /// # Errors
    /// [`Error::Weight`] for missing or odd weights; [`Error::Aborted`] when `progress` answers `Break`.
    pub async fn load(
        config: WhisperConfig,
        weights: &Weights,
        quantize: Option<DType>,
        progress: &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        config.check()?;
        let mut loader = Loader::new(weights, quantize, progress)?;
        let encoder = Encoder::load(&config, &mut loader).await?;
        let decoder = Decoder::load(&config, &mut loader).await?;
        Ok(Self { config, device: weights.device().clone(), encoder, decoder })
    }

    /// Sizes.
    pub fn config(&self) -> &WhisperConfig {
        &self.config
    }
    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }
    /// An empty cache of the decoder's own keys and values.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new(self.config.decoder_layers)
    }

    /// Encodes normalised log-mel frames `[frames, bins]`, an even number of at most twice the model's positions, to
    /// `[frames / 2, d]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes.
    pub fn encode(&self, mel: &Tensor) -> Result<Tensor> {
        let mut state = self.begin_encode(mel)?;
        while self.encode_layer(&mut state)? {}
        self.finish_encode(state)
    }

    /// Begins to encode `mel` as [`Whisper::encode`] does, for going on a layer at a time.
    ///
    /// # Errors
    /// As [`Whisper::encode`].
    pub fn begin_encode(&self, mel: &Tensor) -> Result<EncoderState> {
        self.encoder.begin(mel)
    }
    /// Runs the next layer; `false` when there is none left.
    ///
    /// # Errors
    /// Those of the device.
    pub fn encode_layer(&self, state: &mut EncoderState) -> Result<bool> {
        self.encoder.layer(state)
    }
    /// What [`Whisper::encode`] returns, once all layers have run.
    ///
    /// # Errors
    /// [`Error::Argument`] when layers are left.
    pub fn finish_encode(&self, state: EncoderState) -> Result<Tensor> {
        self.encoder.finish(state)
    }

    /// Keys and values of an encoded sound for all decoder layers: computed once, attended to by every token.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `encoded` is `[frames, d]`.
    pub fn cross_keys(&self, encoded: &Tensor) -> Result<CrossKeys> {
        self.decoder.cross_keys(encoded)
    }

    /// Runs the next `t` tokens of each of `batch` texts behind what is in `cache` and adds them to it: `ids` holds those of
    /// the first text, then of the second and so on. Gives hidden states `[batch * t, d]`, for [`Whisper::logits`].
    ///
    /// # Errors
    /// [`Error::Argument`] for no tokens, unknown tokens, or more than the model has positions for.
    pub fn decode(&self, ids: &[u32], batch: usize, cross: &CrossKeys, cache: &mut KvCache) -> Result<Tensor> {
        self.decoder.forward(ids, batch, cross, cache)
    }

    /// Logits `[n, vocabulary]` of hidden states `[n, d]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.decoder.logits(hidden)
    }

    /// Runs one text from its beginning and gives its hidden states `[t, d]`. `on_head` gets, for each of the `(layer, head)`s
    /// asked for (in order of layers), the scores of all tokens against the first `frames` encoded frames, before softmax: `t * frames`.
    ///
    /// # Errors
    /// As [`Whisper::decode`]; [`Error::Argument`] for heads that are not there.
    pub async fn align(
        &self,
        ids: &[u32],
        cross: &CrossKeys,
        frames: usize,
        heads: &[(usize, usize)],
        on_head: &mut dyn FnMut(&[f32]),
    ) -> Result<Tensor> {
        self.decoder.align(ids, cross, frames, heads, on_head).await
    }
}

/// `[t, heads * size]` of a batch → `[batch, heads, t, size]`.
fn split_heads(x: &Tensor, batch: usize, heads: usize) -> Result<Tensor> {
    let &[rows, width] = x.dims() else {
        return Err(Error::shape("attention", format!("input {} is not [t, d]", x.shape())));
    };
    x.reshape([batch, rows / batch, heads, width / heads])?.permute([0, 2, 1, 3])
}

/// The inverse of [`split_heads`].
fn join_heads(x: &Tensor) -> Result<Tensor> {
    let (batch, heads, t, size) = x.dims4()?;
    x.permute([0, 2, 1, 3])?.reshape([batch * t, heads * size])
}

/// The four projections of an attention layer. Keys have no bias: softmax would not see it.
struct Projections {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
    options: AttentionOptions,
}

impl Projections {
    async fn load(loader: &mut Loader<'_>, name: &str, d: usize, heads: usize, causal: bool) -> Result<Self> {
        let scale = ((d / heads) as f32).sqrt().recip();
        Ok(Self {
            query: loader.linear(&format!("{name}.q_proj"), d, d, true).await?,
            key: loader.linear(&format!("{name}.k_proj"), d, d, false).await?,
            value: loader.linear(&format!("{name}.v_proj"), d, d, true).await?,
            output: loader.linear(&format!("{name}.out_proj"), d, d, true).await?,
            heads,
            options: AttentionOptions { scale, causal, window: None, softcap: None },
        })
    }
}

/// The feed-forward half of a layer.
struct Mlp {
    up: Linear,
    down: Linear,
}

impl Mlp {
    async fn load(loader: &mut Loader<'_>, layer: &str, d: usize, inner: usize) -> Result<Self> {
        let up = loader.linear(&format!("{layer}.fc1"), d, inner, true).await?;
        let down = loader.linear(&format!("{layer}.fc2"), inner, d, true).await?;
        Ok(Self { up, down })
    }
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&self.up.forward(x)?.gelu()?)
    }
}
