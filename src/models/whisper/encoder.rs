//! The encoder: two convolutions over time, then transformer layers.

use super::{Mlp, Projections, config::WhisperConfig, join_heads, loader::Loader, split_heads};
use crate::{
    dtype::DType,
    error::{Error, Result},
    nn::{LayerNorm, Linear},
    tensor::Tensor,
};

pub(super) struct Encoder {
    /// Three frames side by side to one: kernel 3, step 1.
    first: Linear,
    /// As `first`, with step 2.
    second: Linear,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    bins: usize,
}

struct Layer {
    attention_norm: LayerNorm,
    attention: Projections,
    mlp_norm: LayerNorm,
    mlp: Mlp,
}

/// A sound on its way through the encoder.
pub struct EncoderState {
    x: Tensor,
    next: usize,
}

impl Encoder {
    pub async fn load(config: &WhisperConfig, loader: &mut Loader<'_>) -> Result<Self> {
        let (d, bins) = (config.d_model, config.num_mel_bins);
        let first = loader.convolution("model.encoder.conv1", bins, d).await?;
        let second = loader.convolution("model.encoder.conv2", d, d).await?;
        let shape = [config.max_source_positions, d];
        let positions = loader.tensor("model.encoder.embed_positions.weight", shape).await?.to_dtype(DType::F32)?;
        let mut layers = Vec::with_capacity(config.encoder_layers);
        for i in 0..config.encoder_layers {
            let name = format!("model.encoder.layers.{i}");
            let attention = format!("{name}.self_attn");
            layers.push(Layer {
                attention_norm: loader.layer_norm(&format!("{name}.self_attn_layer_norm"), d).await?,
                attention: Projections::load(loader, &attention, d, config.encoder_attention_heads, false).await?,
                mlp_norm: loader.layer_norm(&format!("{name}.final_layer_norm"), d).await?,
                mlp: Mlp::load(loader, &name, d, config.encoder_ffn_dim).await?,
            });
        }
        let norm = loader.layer_norm("model.encoder.layer_norm", d).await?;
        Ok(Self { first, second, positions, layers, norm, bins })
    }

    pub fn begin(&self, mel: &Tensor) -> Result<EncoderState> {
        let most = 2 * self.positions.dims()[0];
        match mel.dims() {
            &[frames, bins] if bins == self.bins && frames > 0 && frames <= most && frames % 2 == 0 => {}
            _ => {
                let wanted = format!("[an even number up to {most}, {}] is wanted", self.bins);
                return Err(Error::shape("encode", format!("mel {}; {wanted}", mel.shape())));
            }
        }
        let x = self.first.forward(&beside(mel)?)?.gelu()?;
        let x = self.second.forward(&beside_every_other(&x)?)?.gelu()?;
        let x = x.add(&self.positions.narrow(0, 0, x.dims()[0])?)?;
        Ok(EncoderState { x, next: 0 })
    }

    pub fn layer(&self, state: &mut EncoderState) -> Result<bool> {
        let Some(layer) = self.layers.get(state.next) else { return Ok(false) };
        state.x = layer.forward(&state.x)?;
        state.next += 1;
        Ok(state.next < self.layers.len())
    }

    pub fn finish(&self, state: EncoderState) -> Result<Tensor> {
        if state.next < self.layers.len() {
            let message = format!("{} of {} layers have run", state.next, self.layers.len());
            return Err(Error::argument("encode", message));
        }
        self.norm.forward(&state.x)
    }
}

impl Layer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let heads = |y: &Linear| split_heads(&y.forward(&normed)?, 1, self.attention.heads);
        let (q, k, v) = (heads(&self.attention.query)?, heads(&self.attention.key)?, heads(&self.attention.value)?);
        let mixed = join_heads(&q.attention(&k, &v, None, self.attention.options)?)?;
        let x = x.add(&self.attention.output.forward(&mixed)?)?;
        x.add(&self.mlp.forward(&self.mlp_norm.forward(&x)?)?)
    }
}

/// A frame of zeros before and after, then each frame between its neighbours: `[t, c]` → `[t, 3 c]`.
fn beside(x: &Tensor) -> Result<Tensor> {
    let (t, c) = x.dims2()?;
    let zero = Tensor::zeros([1, c], DType::F32, x.device())?;
    let before = Tensor::cat(&[&zero, &x.narrow(0, 0, t - 1)?], 0)?;
    let after = Tensor::cat(&[&x.narrow(0, 1, t - 1)?, &zero], 0)?;
    Tensor::cat(&[&before, x, &after], 1)
}

/// As [`beside`], of every other frame: `[t, c]` → `[t / 2, 3 c]`.
fn beside_every_other(x: &Tensor) -> Result<Tensor> {
    let (t, c) = x.dims2()?;
    let pairs = x.reshape([t / 2, 2 * c])?;
    let zero = Tensor::zeros([1, c], DType::F32, x.device())?;
    let before = Tensor::cat(&[&zero, &pairs.narrow(0, 0, t / 2 - 1)?.narrow(1, c, c)?], 0)?;
    Tensor::cat(&[&before, &pairs], 1)
}
