//! Weights by name, whichever of the published namings a checkpoint has.

use crate::{
    backend::cpu::Buffer,
    dtype::DType,
    error::{Error, Result},
    models::LoadProgress,
    nn::{LayerNorm, Linear, Weights},
    quant,
    shape::Shape,
    tensor::Tensor,
};
use std::ops::ControlFlow;

/// OpenAI's names for Hugging Face's parts of names, to be replaced in this order.
const OPENAI: [(&str, &str); 17] = [
    ("model.", ""),
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens", "token_embedding"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
    (".layers.", ".blocks."),
    ("self_attn_layer_norm", "attn_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("self_attn", "attn"),
    ("encoder_attn", "cross_attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
];

#[derive(Clone, Copy, PartialEq)]
enum Naming {
    /// `model.encoder.layers.0.self_attn.q_proj.weight`
    HuggingFace,
    /// The same without `model.`, as the bare model is saved.
    Bare,
    /// `encoder.blocks.0.attn.query.weight`
    OpenAi,
}

/// Loads the parts of a model by Hugging Face's names and tells how far it is.
pub(super) struct Loader<'a> {
    weights: &'a Weights,
    naming: Naming,
    quantize: Option<DType>,
    progress: &'a mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
}

impl<'a> Loader<'a> {
    pub fn new(
        weights: &'a Weights,
        quantize: Option<DType>,
        progress: &'a mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        if let Some(dtype) = quantize.filter(|d| !d.is_quantized() || matches!(d, DType::Q8_1 | DType::Q8_K)) {
            return Err(Error::argument(
                "load",
                format!("quantizing to {dtype}; q8_0, q4_k and their like are possible"),
            ));
        }
        let naming = if weights.contains("model.encoder.conv1.weight") {
            Naming::HuggingFace
        } else if weights.contains("encoder.blocks.0.attn.query.weight") {
            Naming::OpenAi
        } else if weights.contains("encoder.layers.0.self_attn.q_proj.weight") {
            Naming::Bare
        } else {
            return Err(Error::weight(
                "model.encoder.conv1.weight",
                "is missing: these are not the weights of a Whisper",
            ));
        };
        Ok(Self { weights, naming, quantize, progress })
    }

    fn name(&self, name: &str) -> String {
        match self.naming {
            Naming::HuggingFace => name.to_owned(),
            Naming::Bare => name.trim_start_matches("model.").to_owned(),
            Naming::OpenAi => OPENAI.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to)),
        }
    }

    /// A tensor in its own dtype.
    pub async fn tensor(&mut self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        let tensor = self.weights.get(&self.name(name), shape).await?;
        self.report(name)?;
        Ok(tensor)
    }
    pub async fn layer_norm(&mut self, name: &str, size: usize) -> Result<LayerNorm> {
        let norm = LayerNorm::load(&self.weights.pp(&self.name(name)), size, 1e-5, true).await?;
        self.report(name)?;
        Ok(norm)
    }
    /// `weight [outputs, inputs]`, quantized if asked for, and `bias`.
    pub async fn linear(&mut self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        let weights = self.weights.pp(&self.name(name));
        let weight = weights.get("weight", [outputs, inputs]).await?;
        let weight = self.quantized(weight).await?;
        let bias = if bias { Some(weights.get_f32("bias", [outputs]).await?) } else { None };
        self.report(name)?;
        Ok(Linear::new(weight, bias.map(Into::into)))
    }
    /// A convolution over three frames as a linear layer over three frames side by side: its weight `[outputs, inputs, 3]`
    /// becomes `[outputs, 3 * inputs]`.
    pub async fn convolution(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let weights = self.weights.pp(&self.name(name));
        let weight = weights.get("weight", [outputs, inputs, 3]).await?;
        let weight = weight.permute([0, 2, 1])?.reshape([outputs, 3 * inputs])?;
        let bias = weights.get_f32("bias", [outputs]).await?;
        self.report(name)?;
        Ok(Linear::new(weight, Some(bias.into())))
    }
    pub fn contains(&self, name: &str) -> bool {
        self.weights.contains(&self.name(name))
    }

    /// `weight` in blocks of the dtype asked for, or of the nearest whose blocks fit into its rows.
    pub async fn quantized(&self, weight: Tensor) -> Result<Tensor> {
        let Some(wanted) = self.quantize.filter(|_| weight.dtype().is_float()) else { return Ok(weight) };
        let columns = weight.dims().last().copied().unwrap_or(0);
        let smaller = match wanted {
            DType::Q2_K | DType::Q3_K => DType::Q4_0,
            DType::Q4_K => DType::Q5_0,
            DType::Q5_K => DType::Q5_1,
            DType::Q6_K => DType::Q8_0,
            other => other,
        };
        let fits = |d: &DType| columns.is_multiple_of(d.block_len());
        let Some(dtype) = [wanted, smaller].into_iter().find(fits) else { return Ok(weight) };
        let values = weight.to_dtype(DType::F32)?.to_vec::<f32>().await?;
        let mut blocks = Buffer::zeroed(dtype.bytes_for(values.len()).unwrap_or(0))?;
        quant::quantize(dtype, &values, blocks.bytes_mut())?;
        Tensor::from_buffer(blocks, dtype, weight.shape().clone(), weight.device())
    }

    fn report(&mut self, name: &str) -> Result<()> {
        let (loaded_bytes, total_bytes) = (self.weights.loaded_bytes(), self.weights.total_bytes());
        match (self.progress)(LoadProgress { tensor: name, loaded_bytes, total_bytes }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Aborted),
        }
    }
}
