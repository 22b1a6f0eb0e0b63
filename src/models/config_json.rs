//! Decoder configuration from a Hugging Face `config.json`.

use super::config::{BlockKind, DecoderConfig, Fusion, KNOWN, NormKind, RopeConfig, layer_count};
use crate::{
    error::{Error, Result},
    nn::RopeScaling,
    op::{Gate, RopeLayout},
};
use serde_json::{Map, Value};

const FILE: &str = "config.json";

/// Typed access to the fields; `null` counts as absent.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }
    fn wrong<T>(key: &str, value: &Value, wanted: &str) -> Result<T> {
        Err(Error::format(FILE, format!("{key:?} is {value}; wanted {wanted}")))
    }
    fn optional_uint(self, key: &str) -> Result<Option<usize>> {
        self.get(key)
            .map(|v| match v.as_u64().and_then(|n| usize::try_from(n).ok()) {
                Some(n) => Ok(n),
                None => Self::wrong(key, v, "a whole number"),
            })
            .transpose()
    }
    fn uint(self, key: &str) -> Result<usize> {
        self.optional_uint(key)?.ok_or_else(|| Error::format(FILE, format!("{key:?} is missing")))
    }
    fn optional_float(self, key: &str) -> Result<Option<f64>> {
        self.get(key).map(|v| v.as_f64().map_or_else(|| Self::wrong(key, v, "a number"), Ok)).transpose()
    }
    fn float(self, key: &str, default: f64) -> Result<f64> {
        Ok(self.optional_float(key)?.unwrap_or(default))
    }
    fn bool(self, key: &str, default: bool) -> Result<bool> {
        self.get(key).map_or(Ok(default), |v| v.as_bool().map_or_else(|| Self::wrong(key, v, "true or false"), Ok))
    }
    fn string(self, key: &str) -> Result<Option<&'a str>> {
        self.get(key).map(|v| v.as_str().map_or_else(|| Self::wrong(key, v, "a string"), Ok)).transpose()
    }
    fn object(self, key: &str) -> Result<Option<Fields<'a>>> {
        self.get(key)
            .map(|v| v.as_object().map_or_else(|| Self::wrong(key, v, "an object"), |map| Ok(Fields(map))))
            .transpose()
    }
    fn floats(self, key: &str) -> Result<Vec<f64>> {
        let Some(value) = self.get(key) else {
            return Err(Error::format(FILE, format!("{key:?} is missing")));
        };
        let list: Option<Vec<f64>> = value.as_array().and_then(|a| a.iter().map(Value::as_f64).collect());
        list.map_or_else(|| Self::wrong(key, value, "a list of numbers"), Ok)
    }
}

impl DecoderConfig {
    /// Reads a `config.json`. Errors name the field; an unknown `model_type` is [`Error::Unsupported`].
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|e| Error::format(FILE, e.to_string()))?;
        let Some(map) = value.as_object() else {
            return Err(Error::format(FILE, "not a JSON object"));
        };
        let outer = Fields(map);
        // Models that also see have the language model's configuration inside.
        let fields = outer.object("text_config")?.unwrap_or(outer);
        let model_type = match fields.string("model_type")? {
            Some(t) => t,
            None => outer.string("model_type")?.unwrap_or(""),
        };
        let config = match model_type {
            "falcon" | "RefinedWeb" | "RefinedWebModel" => falcon(fields)?,
            "llama" | "mistral" | "qwen2" | "qwen3" | "gemma" | "gemma2" | "gemma3_text" | "gemma3" | "phi3" => {
                llama_like(fields, model_type)?
            }
            other => {
                let message = format!("model_type {other:?} in config.json; this build knows {KNOWN}");
                return Err(Error::Unsupported(message));
            }
        };
        config.validate(FILE)
    }
}

/// Llama and its descendants.
fn llama_like(fields: Fields, family: &str) -> Result<DecoderConfig> {
    let gemma3 = family.starts_with("gemma3");
    let gemma = family.starts_with("gemma");
    let sandwich = gemma3 || family == "gemma2";
    let hidden_size = fields.uint("hidden_size")?;
    let heads = match fields.optional_uint("num_attention_heads")? {
        None if gemma3 => 8, // Gemma 3's files leave out what equals the defaults
        Some(heads) => heads,
        None => fields.uint("num_attention_heads")?,
    };
    let kv_heads = fields.optional_uint("num_key_value_heads")?.unwrap_or(if gemma3 { 4 } else { heads });
    let head_dim = match fields.optional_uint("head_dim")? {
        Some(size) => size,
        None if gemma => 256,
        None if family == "qwen3" => 128,
        None => head_size(hidden_size, heads)?,
    };
    let layers = layer_count(fields.uint("num_hidden_layers")?, FILE)?;
    let context_length = fields.optional_uint("max_position_embeddings")?.unwrap_or(2048);
    let rope_dims = (head_dim as f64 * fields.float("partial_rotary_factor", 1.0)?) as usize;
    let (rope, local_rope) = rope(fields, context_length, if gemma3 { 1e6 } else { 1e4 }, gemma3)?;
    let scale = if sandwich { fields.float("query_pre_attn_scalar", 256.0)? } else { head_dim as f64 };
    let attention_bias = fields.bool("attention_bias", false)?;
    Ok(DecoderConfig {
        architecture: family.into(),
        // Files of models that also see may leave it out, at its default.
        vocab_size: match fields.optional_uint("vocab_size")? {
            None if gemma3 => 262_208,
            _ => fields.uint("vocab_size")?,
        },
        hidden_size,
        intermediate_size: fields.uint("intermediate_size")?,
        heads,
        kv_heads,
        head_dim,
        context_length,
        norm: NormKind::Rms { offset: if gemma { 1.0 } else { 0.0 } },
        norm_eps: fields.float("rms_norm_eps", 1e-6)?,
        block: BlockKind::Sequential,
        post_norms: sandwich,
        qk_norm: gemma3 || family == "qwen3",
        qkv: if family == "phi3" { Fusion::Concatenated } else { Fusion::Separate },
        qkv_bias: attention_bias || family == "qwen2",
        output_bias: attention_bias,
        mlp_bias: fields.bool("mlp_bias", false)?,
        activation: match fields.string("hidden_activation")? {
            Some(name) => activation(name)?,
            // Gemma's first files say "gelu" in `hidden_act` and mean the tanh form.
            None if gemma => Gate::GeluTanh,
            None => activation(fields.string("hidden_act")?.unwrap_or("silu"))?,
        },
        gated: true,
        fused_gate_up: family == "phi3",
        attention_scale: 1.0 / scale.sqrt(),
        attention_softcap: if family == "gemma2" { fields.optional_float("attn_logit_softcapping")? } else { None },
        logit_softcap: if sandwich { fields.optional_float("final_logit_softcapping")? } else { None },
        logit_scale: 1.0,
        embedding_scale: if gemma { (hidden_size as f64).sqrt() } else { 1.0 },
        tied_embeddings: fields.bool("tie_word_embeddings", gemma)?,
        rope_layout: RopeLayout::Half,
        rope_dims,
        rope,
        local_rope,
        windows: windows(fields, family, layers)?,
    })
}

/// Falcon: 7B and its kin (multi-query), 40B and 180B (`new_decoder_architecture`).
fn falcon(fields: Fields) -> Result<DecoderConfig> {
    if fields.bool("alibi", false)? {
        return Err(Error::Unsupported("falcon with alibi position biases (\"alibi\": true in config.json)".into()));
    }
    let hidden_size = fields.uint("hidden_size")?;
    // The first files call them `n_head` and `n_layer`.
    let either = |key: &str, old: &str| match fields.optional_uint(key)? {
        Some(n) => Ok(n),
        None => fields.optional_uint(old)?.ok_or_else(|| Error::format(FILE, format!("{key:?} is missing"))),
    };
    let heads = either("num_attention_heads", "n_head")?;
    let layers = layer_count(either("num_hidden_layers", "n_layer")?, FILE)?;
    let new_architecture = fields.bool("new_decoder_architecture", false)?;
    let kv_heads = if new_architecture {
        fields.optional_uint("num_kv_heads")?.or(fields.optional_uint("n_head_kv")?).unwrap_or(heads)
    } else if fields.bool("multi_query", true)? {
        1
    } else {
        heads
    };
    let head_dim = head_size(hidden_size, heads)?;
    let context_length = fields.optional_uint("max_position_embeddings")?.unwrap_or(2048);
    let norms = fields.optional_uint("num_ln_in_parallel_attn")?.unwrap_or(if new_architecture { 2 } else { 1 });
    let bias = fields.bool("bias", false)?;
    let (rope, _) = rope(fields, context_length, 1e4, false)?;
    Ok(DecoderConfig {
        architecture: "falcon".into(),
        vocab_size: fields.uint("vocab_size")?,
        hidden_size,
        intermediate_size: match fields.optional_uint("ffn_hidden_size")? {
            Some(size) => size,
            None => hidden_size.saturating_mul(4),
        },
        heads,
        kv_heads,
        head_dim,
        context_length,
        norm: NormKind::Layer,
        norm_eps: fields.float("layer_norm_epsilon", 1e-5)?,
        block: match (new_architecture || fields.bool("parallel_attn", true)?, norms) {
            (false, _) => BlockKind::Sequential,
            (true, 2) if new_architecture => BlockKind::Parallel,
            (true, _) => BlockKind::ParallelSharedNorm,
        },
        post_norms: false,
        qk_norm: false,
        qkv: Fusion::Grouped,
        qkv_bias: bias,
        output_bias: bias,
        mlp_bias: bias,
        activation: activation(fields.string("activation")?.unwrap_or("gelu"))?,
        gated: false,
        fused_gate_up: false,
        attention_scale: 1.0 / (head_dim as f64).sqrt(),
        attention_softcap: None,
        logit_softcap: None,
        logit_scale: 1.0,
        embedding_scale: 1.0,
        tied_embeddings: fields.bool("tie_word_embeddings", true)?,
        rope_layout: RopeLayout::Half,
        rope_dims: head_dim,
        rope,
        local_rope: None,
        windows: vec![None; layers],
    })
}

/// The head size where no field states it.
fn head_size(hidden_size: usize, heads: usize) -> Result<usize> {
    match hidden_size.checked_rem(heads) {
        Some(0) => Ok(hidden_size / heads),
        _ => Err(Error::format(FILE, format!("hidden_size {hidden_size} does not divide into {heads} heads"))),
    }
}

fn activation(name: &str) -> Result<Gate> {
    Ok(match name {
        "silu" | "swish" => Gate::Silu,
        "gelu" => Gate::Gelu,
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Gate::GeluTanh,
        "relu" => Gate::Relu,
        other => return Err(Error::Unsupported(format!("activation {other:?} in config.json"))),
    })
}

/// Which layers see only a window.
fn windows(fields: Fields, family: &str, layers: usize) -> Result<Vec<Option<usize>>> {
    let used = match family {
        "mistral" | "phi3" | "gemma2" | "gemma3" | "gemma3_text" => true,
        "qwen2" | "qwen3" => fields.bool("use_sliding_window", false)?,
        _ => false,
    };
    let window = match fields.optional_uint("sliding_window")? {
        Some(window) if used => window,
        None if family == "gemma2" || family.starts_with("gemma3") => 4096,
        _ => return Ok(vec![None; layers]),
    };
    if let Some(value) = fields.get("layer_types") {
        let types: Option<Vec<&str>> = value.as_array().and_then(|a| a.iter().map(Value::as_str).collect());
        return match types {
            Some(types) if types.len() == layers => {
                Ok(types.iter().map(|t| (*t == "sliding_attention").then_some(window)).collect())
            }
            _ => Err(Error::format(FILE, format!("\"layer_types\" is not a list of {layers} strings"))),
        };
    }
    let full_from = fields.optional_uint("max_window_layers")?.unwrap_or(0);
    let period = fields.optional_uint("sliding_window_pattern")?.unwrap_or(6).max(1);
    let slides = |layer: usize| match family {
        "gemma2" => layer.is_multiple_of(2),
        "gemma3" | "gemma3_text" => !(layer + 1).is_multiple_of(period),
        "qwen2" | "qwen3" => layer >= full_from,
        _ => true,
    };
    Ok((0..layers).map(|layer| slides(layer).then_some(window)).collect())
}

/// Base and scaling of the rotary embedding, of all layers and of sliding-window layers.
fn rope(
    fields: Fields,
    context_length: usize,
    default_base: f64,
    local: bool,
) -> Result<(RopeConfig, Option<RopeConfig>)> {
    // Files of transformers 5 hold everything in `rope_parameters`, by kind of layer where there are two.
    let parameters = fields.object("rope_parameters")?;
    let global = match parameters {
        Some(p) => p.object("full_attention")?.or(Some(p)),
        None => fields.object("rope_scaling")?,
    };
    let base = match global.map(|g| g.optional_float("rope_theta")).transpose()?.flatten() {
        Some(base) => base,
        None => fields.float("rope_theta", default_base)?,
    };
    let scaling = global.map_or(Ok(RopeScaling::None), |g| scaling(g, fields, context_length))?;
    let local_rope = if local {
        let inner = parameters.map(|p| p.object("sliding_attention")).transpose()?.flatten();
        let base = match inner {
            Some(inner) => inner.float("rope_theta", 1e4)?,
            None => fields.float("rope_local_base_freq", 1e4)?,
        };
        Some(RopeConfig { base, scaling: RopeScaling::None })
    } else {
        None
    };
    Ok((RopeConfig { base, scaling }, local_rope))
}

fn scaling(rope: Fields, config: Fields, context_length: usize) -> Result<RopeScaling> {
    let kind = match rope.string("rope_type")? {
        Some(kind) => kind,
        None => rope.string("type")?.unwrap_or("default"),
    };
    let factor = || {
        let factor = rope.optional_float("factor")?;
        factor.ok_or_else(|| Error::format(FILE, format!("rope scaling {kind:?} without a \"factor\"")))
    };
    let stated = match rope.optional_uint("original_max_position_embeddings")? {
        Some(original) => Some(original),
        None => config.optional_uint("original_max_position_embeddings")?,
    };
    let original = stated.unwrap_or(context_length);
    Ok(match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: factor()? },
        "dynamic" => RopeScaling::Dynamic { factor: factor()?, original },
        "llama3" => RopeScaling::Llama3 {
            factor: factor()?,
            low_freq_factor: rope.float("low_freq_factor", 1.0)?,
            high_freq_factor: rope.float("high_freq_factor", 4.0)?,
            original,
        },
        "yarn" => {
            let factor = factor()?;
            RopeScaling::Yarn {
                factor,
                original,
                beta_fast: rope.float("beta_fast", 32.0)?,
                beta_slow: rope.float("beta_slow", 1.0)?,
                attention_factor: match rope.optional_float("attention_factor")? {
                    Some(stated) => stated,
                    None => 0.1 * factor.max(1.0).ln() + 1.0,
                },
            }
        }
        "longrope" | "su" => {
            let ratio = match stated {
                Some(original) => context_length as f64 / original as f64,
                None => factor()?,
            };
            RopeScaling::LongRope {
                short: rope.floats("short_factor")?,
                long: rope.floats("long_factor")?,
                original,
                attention_factor: match rope.optional_float("attention_factor")? {
                    Some(stated) => stated,
                    None => longrope_attention_factor(ratio, original),
                },
            }
        }
        other => return Err(Error::Unsupported(format!("rope scaling {other:?} in config.json"))),
    })
}

/// The factor on cos and sin that goes with LongRoPE when the context is `ratio` times the `original`.
pub(super) fn longrope_attention_factor(ratio: f64, original: usize) -> f64 {
    if ratio <= 1.0 { 1.0 } else { (1.0 + ratio.ln() / (original as f64).ln()).sqrt() }
}
