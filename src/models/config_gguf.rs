//! Decoder configuration from the metadata of a GGUF file.

use super::{
    config::{BlockKind, DecoderConfig, Fusion, KNOWN, NormKind, RopeConfig, layer_count},
    config_json::longrope_attention_factor,
};
use crate::{
    error::{Error, Result},
    format::{Checkpoint, Metadata},
    nn::RopeScaling,
    op::{Gate, RopeLayout},
};

const FILE: &str = "GGUF metadata";

/// Typed access to the keys under the architecture's prefix.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl<'a> Keys<'a> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }
    fn optional_uint(&self, name: &str) -> Result<Option<usize>> {
        let key = self.key(name);
        if self.metadata.get(&key).is_none() {
            return Ok(None);
        }
        let value = self.metadata.uint(&key).and_then(|v| usize::try_from(v).ok());
        let wrong = || Error::format(FILE, format!("{key:?} is not one whole number; such models cannot be run"));
        value.ok_or_else(wrong).map(Some)
    }
    fn uint(&self, name: &str) -> Result<usize> {
        self.optional_uint(name)?.ok_or_else(|| Error::format(FILE, format!("{:?} is missing", self.key(name))))
    }
    fn float(&self, name: &str) -> Option<f64> {
        self.metadata.float(&self.key(name))
    }
    fn string(&self, name: &str) -> Option<&'a str> {
        self.metadata.string(&self.key(name))
    }
}

impl DecoderConfig {
    /// Reads the metadata of a GGUF file; `checkpoint` tells the vocabulary's size and which biases there are. An unknown
    /// `general.architecture` is [`Error::Unsupported`].
    pub fn from_gguf(metadata: &Metadata, checkpoint: &Checkpoint) -> Result<Self> {
        let Some(architecture) = metadata.string("general.architecture") else {
            return Err(Error::format(FILE, "\"general.architecture\" is missing"));
        };
        if !["llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "falcon"].contains(&architecture) {
            let message = format!("architecture {architecture:?} in a GGUF file; this build knows {KNOWN}");
            return Err(Error::Unsupported(message));
        }
        let keys = Keys { metadata, architecture };
        if keys.optional_uint("expert_count")?.unwrap_or(0) > 0 {
            return Err(Error::Unsupported(format!("mixture-of-experts {architecture} models")));
        }
        read(&keys, checkpoint)?.validate(FILE)
    }
}

fn read(keys: &Keys, checkpoint: &Checkpoint) -> Result<DecoderConfig> {
    let family = keys.architecture;
    // A tensor of a type that cannot be read is there too: loading it is the error to give.
    let unreadable = |name: &str| checkpoint.unsupported().iter().any(|t| t.name == name);
    let has = |name: &str| checkpoint.info(name).is_some() || unreadable(name);
    let gemma = family.starts_with("gemma");
    let sandwich = matches!(family, "gemma2" | "gemma3");
    let falcon = family == "falcon";
    let layers = layer_count(keys.uint("block_count")?, FILE)?;
    let hidden_size = keys.uint("embedding_length")?;
    let heads = keys.uint("attention.head_count")?;
    let kv_heads = keys.optional_uint("attention.head_count_kv")?.unwrap_or(heads);
    let head_dim = match keys.optional_uint("attention.key_length")? {
        Some(size) => size,
        None => match hidden_size.checked_rem(heads) {
            Some(0) => hidden_size / heads,
            _ => return Err(Error::format(FILE, format!("{hidden_size} dimensions do not divide into {heads} heads"))),
        },
    };
    if keys.optional_uint("attention.value_length")?.is_some_and(|size| size != head_dim) {
        return Err(Error::Unsupported("keys and values of different sizes".into()));
    }
    let embedding = checkpoint.require("token_embd.weight")?;
    let vocab_size = embedding.shape.dims().first().copied().unwrap_or(0);
    let context_length = keys.uint("context_length")?;
    let eps = if falcon { "attention.layer_norm_epsilon" } else { "attention.layer_norm_rms_epsilon" };
    let Some(norm_eps) = keys.float(eps) else {
        return Err(Error::format(FILE, format!("{:?} is missing", keys.key(eps))));
    };
    // The largest Gemmas scale queries by the width per head instead of the head's size, and no key says so.
    let by_width = matches!((family, layers), ("gemma2", 46) | ("gemma3", 62));
    let query_size = if by_width { hidden_size as f64 / heads as f64 } else { head_dim as f64 };
    let fused = has("blk.0.attn_qkv.weight");
    Ok(DecoderConfig {
        architecture: family.into(),
        vocab_size,
        hidden_size,
        intermediate_size: keys.uint("feed_forward_length")?,
        heads,
        kv_heads,
        head_dim,
        context_length,
        // Converters have folded Gemma's offset of 1 into the weights.
        norm: if falcon { NormKind::Layer } else { NormKind::Rms { offset: 0.0 } },
        norm_eps,
        block: match (falcon, has("blk.0.attn_norm_2.weight")) {
            (false, _) => BlockKind::Sequential,
            (true, true) => BlockKind::Parallel,
            (true, false) => BlockKind::ParallelSharedNorm,
        },
        post_norms: sandwich,
        qk_norm: matches!(family, "qwen3" | "gemma3"),
        qkv: if fused { Fusion::Concatenated } else { Fusion::Separate },
        qkv_bias: has(if fused { "blk.0.attn_qkv.bias" } else { "blk.0.attn_q.bias" }),
        output_bias: has("blk.0.attn_output.bias"),
        mlp_bias: has("blk.0.ffn_up.bias"),
        activation: match (gemma, falcon) {
            (true, _) => Gate::GeluTanh,
            (_, true) => Gate::Gelu,
            _ => Gate::Silu,
        },
        gated: !falcon,
        fused_gate_up: family == "phi3" && !has("blk.0.ffn_gate.weight"),
        attention_scale: 1.0 / query_size.sqrt(),
        attention_softcap: match family {
            "gemma2" => Some(keys.float("attn_logit_softcapping").unwrap_or(50.0)),
            _ => None,
        },
        logit_softcap: match family {
            "gemma2" => Some(keys.float("final_logit_softcapping").unwrap_or(30.0)),
            "gemma3" => keys.float("final_logit_softcapping"),
            _ => None,
        },
        logit_scale: keys.float("logit_scale").unwrap_or(1.0),
        embedding_scale: if gemma { (hidden_size as f64).sqrt() } else { 1.0 },
        tied_embeddings: !has("output.weight"),
        // Converters have permuted the rows of q and k of llama-architecture models so that neighbours rotate together.
        rope_layout: if family == "llama" { RopeLayout::Interleaved } else { RopeLayout::Half },
        rope_dims: keys.optional_uint("rope.dimension_count")?.unwrap_or(head_dim),
        rope: RopeConfig {
            base: keys.float("rope.freq_base").unwrap_or(if family == "gemma3" { 1e6 } else { 1e4 }),
            scaling: scaling(keys, context_length)?,
        },
        local_rope: (family == "gemma3")
            .then(|| RopeConfig { base: keys.float("rope.freq_base_swa").unwrap_or(1e4), scaling: RopeScaling::None }),
        windows: windows(keys, layers)?,
    })
}

/// Which layers see only a window.
fn windows(keys: &Keys, layers: usize) -> Result<Vec<Option<usize>>> {
    let window = keys.optional_uint("attention.sliding_window")?.filter(|&w| w > 0);
    let window = if keys.architecture == "gemma2" { window.or(Some(4096)) } else { window };
    let slides = |layer: usize| match keys.architecture {
        "gemma2" => layer.is_multiple_of(2),
        "gemma3" => !(layer + 1).is_multiple_of(6),
        "llama" | "phi3" => true, // Mistral is a llama here
        _ => false,
    };
    Ok((0..layers).map(|layer| window.filter(|_| slides(layer))).collect())
}

/// Rope scaling as the metadata states it. Factors that are tensors ([`RopeScaling::Factors`], LongRoPE's lists) are read
/// with the weights.
fn scaling(keys: &Keys, context_length: usize) -> Result<RopeScaling> {
    let original = keys.optional_uint("rope.scaling.original_context_length")?.unwrap_or(context_length);
    // `rope.scale_linear` is what old files write.
    let factor = keys.float("rope.scaling.factor").or(keys.float("rope.scale_linear")).filter(|&f| f > 0.0);
    let kind = keys.string("rope.scaling.type").unwrap_or(if factor.is_some() { "linear" } else { "none" });
    let stated = keys.float("rope.scaling.attn_factor");
    Ok(match (kind, factor) {
        ("none", _) | ("linear" | "yarn", None) => RopeScaling::None,
        ("linear", Some(factor)) => RopeScaling::Linear { factor },
        ("yarn", Some(factor)) => RopeScaling::Yarn {
            factor,
            original,
            beta_fast: keys.float("rope.scaling.yarn_beta_fast").unwrap_or(32.0),
            beta_slow: keys.float("rope.scaling.yarn_beta_slow").unwrap_or(1.0),
            attention_factor: stated.unwrap_or(1.0) * (0.1 * factor.max(1.0).ln() + 1.0),
        },
        ("longrope", _) => {
            let ratio = context_length as f64 / original as f64;
            let attention_factor = stated.unwrap_or_else(|| longrope_attention_factor(ratio, original));
            RopeScaling::LongRope { short: vec![], long: vec![], original, attention_factor }
        }
        (other, _) => return Err(Error::Unsupported(format!("rope scaling {other:?} in a GGUF file"))),
    })
}
