//! Names of weights: GGUF's and Hugging Face's spellings of the parts of a decoder.

use super::config::{BlockKind, DecoderConfig};
use crate::{
    error::{Error, Result},
    nn::Weights,
};

/// A part of the model outside its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Top {
    Embedding,
    Norm,
    Head,
}

/// A part of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    AttentionNorm,
    PostAttentionNorm,
    MlpNorm,
    PostMlpNorm,
    Query,
    Key,
    Value,
    Qkv,
    QueryNorm,
    KeyNorm,
    Output,
    Gate,
    Up,
    GateUp,
    Down,
}

/// One spelling of all names.
pub(super) enum Names {
    Gguf {
        /// Falcon with two norms calls the MLP's `attn_norm` and attention's `attn_norm_2`.
        swapped_norms: bool,
    },
    HuggingFace {
        /// What stands before `embed_tokens` (`model.`).
        root: &'static str,
        /// `post_attention_layernorm` really is behind attention, not in front of the MLP.
        post_norms: bool,
    },
    Falcon {
        parallel_norms: bool,
    },
}

impl Names {
    /// Which spelling the weights use.
    pub fn detect(weights: &Weights, config: &DecoderConfig) -> Result<Self> {
        if weights.contains("token_embd.weight") {
            return Ok(Self::Gguf { swapped_norms: config.block == BlockKind::Parallel });
        }
        if weights.contains("transformer.word_embeddings.weight") {
            return Ok(Self::Falcon { parallel_norms: config.block == BlockKind::Parallel });
        }
        let roots = ["model.", "", "language_model.model.", "model.language_model."];
        match roots.into_iter().find(|root| weights.contains(&format!("{root}embed_tokens.weight"))) {
            Some(root) => Ok(Self::HuggingFace { root, post_norms: config.post_norms }),
            None => Err(Error::weight(
                "embed_tokens.weight",
                "no token embedding under any known name (token_embd.weight, model.embed_tokens.weight, \
                 transformer.word_embeddings.weight); is this a decoder language model?",
            )),
        }
    }

    /// The name, without `.weight`, of a part outside the blocks.
    pub fn top(&self, top: Top) -> String {
        match (self, top) {
            (Self::Gguf { .. }, Top::Embedding) => "token_embd".into(),
            (Self::Gguf { .. }, Top::Norm) => "output_norm".into(),
            (Self::Gguf { .. }, Top::Head) => "output".into(),
            (Self::HuggingFace { root, .. }, Top::Embedding) => format!("{root}embed_tokens"),
            (Self::HuggingFace { root, .. }, Top::Norm) => format!("{root}norm"),
            (Self::HuggingFace { root: "language_model.model.", .. }, Top::Head) => "language_model.lm_head".into(),
            (Self::Falcon { .. }, Top::Embedding) => "transformer.word_embeddings".into(),
            (Self::Falcon { .. }, Top::Norm) => "transformer.ln_f".into(),
            (Self::HuggingFace { .. } | Self::Falcon { .. }, Top::Head) => "lm_head".into(),
        }
    }

    /// The name, without `.weight`, of a part of block `layer`.
    pub fn part(&self, layer: usize, part: Part) -> String {
        match *self {
            Self::Gguf { swapped_norms } => format!("blk.{layer}.{}", gguf(part, swapped_norms)),
            Self::HuggingFace { root, post_norms } => {
                format!("{root}layers.{layer}.{}", hugging_face(part, post_norms))
            }
            Self::Falcon { parallel_norms } => format!("transformer.h.{layer}.{}", falcon(part, parallel_norms)),
        }
    }
}

/// The name of a part of block `layer` in the model as `transformers` has it, whatever the file's names: what adapters
/// are saved under.
pub(super) fn original_part(architecture: &str, layer: usize, part: Part) -> String {
    if architecture.starts_with("falcon") {
        return format!("transformer.h.{layer}.{}", falcon(part, false));
    }
    format!("model.layers.{layer}.{}", hugging_face(part, false))
}

fn gguf(part: Part, swapped_norms: bool) -> &'static str {
    match part {
        Part::AttentionNorm if swapped_norms => "attn_norm_2",
        Part::AttentionNorm => "attn_norm",
        Part::PostAttentionNorm => "post_attention_norm",
        Part::MlpNorm if swapped_norms => "attn_norm",
        Part::MlpNorm => "ffn_norm",
        Part::PostMlpNorm => "post_ffw_norm",
        Part::Query => "attn_q",
        Part::Key => "attn_k",
        Part::Value => "attn_v",
        Part::Qkv => "attn_qkv",
        Part::QueryNorm => "attn_q_norm",
        Part::KeyNorm => "attn_k_norm",
        Part::Output => "attn_output",
        Part::Gate => "ffn_gate",
        Part::Up | Part::GateUp => "ffn_up",
        Part::Down => "ffn_down",
    }
}

fn hugging_face(part: Part, post_norms: bool) -> &'static str {
    match part {
        Part::AttentionNorm => "input_layernorm",
        Part::PostAttentionNorm => "post_attention_layernorm",
        Part::MlpNorm if post_norms => "pre_feedforward_layernorm",
        Part::MlpNorm => "post_attention_layernorm",
        Part::PostMlpNorm => "post_feedforward_layernorm",
        Part::Query => "self_attn.q_proj",
        Part::Key => "self_attn.k_proj",
        Part::Value => "self_attn.v_proj",
        Part::Qkv => "self_attn.qkv_proj",
        Part::QueryNorm => "self_attn.q_norm",
        Part::KeyNorm => "self_attn.k_norm",
        Part::Output => "self_attn.o_proj",
        Part::Gate => "mlp.gate_proj",
        Part::Up => "mlp.up_proj",
        Part::GateUp => "mlp.gate_up_proj",
        Part::Down => "mlp.down_proj",
    }
}

/// Falcon's own names; for the parts that no Falcon has, the usual ones, which then are reported as missing.
fn falcon(part: Part, parallel_norms: bool) -> &'static str {
    match part {
        Part::AttentionNorm if parallel_norms => "ln_attn",
        Part::MlpNorm if parallel_norms => "ln_mlp",
        Part::Qkv => "self_attention.query_key_value",
        Part::Output => "self_attention.dense",
        Part::Up => "mlp.dense_h_to_4h",
        Part::Down => "mlp.dense_4h_to_h",
        other => hugging_face(other, false),
    }
}
