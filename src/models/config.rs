//! What distinguishes one decoder-only language model from another.

use crate::{
    error::{Error, Result},
    nn::RopeScaling,
    op::{Gate, RopeLayout},
};

/// Architectures by their name in `config.json` (`model_type`) and GGUF files (`general.architecture`).
pub(super) const KNOWN: &str =
    "llama (with SmolLM2), mistral, qwen2, qwen3, gemma, gemma2, gemma3 (gemma3_text), phi3, falcon";

/// Which norm the model uses everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormKind {
    /// Root-mean-square norm; `offset` is added to weights as stored (1 in Gemma's safetensors).
    Rms {
        /// Added to the stored weight.
        offset: f64,
    },
    /// Layer norm with bias.
    Layer,
}

/// How attention and MLP of one block are joined to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// `x += attention(norm(x)); x += mlp(norm(x))`.
    Sequential,
    /// `x += attention(norm1(x)) + mlp(norm2(x))`.
    Parallel,
    /// `x += attention(n) + mlp(n)` with one `n = norm(x)`.
    ParallelSharedNorm,
}

/// How the query, key and value projections are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    /// Three weights.
    Separate,
    /// One weight: the rows of all queries, then all keys, then all values.
    Concatenated,
    /// One weight: for each key/value head the rows of its queries, its key, its value.
    Grouped,
}

/// Rotary embedding of one kind of layer.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub base: f64,
    /// How the frequencies are changed for long contexts.
    pub scaling: RopeScaling,
}

/// Sizes and kinds of a decoder-only language model. Made by [`DecoderConfig::from_json`] or
/// [`DecoderConfig::from_gguf`], which check that all sizes make sense.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// The architecture as its file names it.
    pub architecture: String,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Size of the residual stream.
    pub hidden_size: usize,
    /// Size inside the MLP.
    pub intermediate_size: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Elements of one head.
    pub head_dim: usize,
    /// Context length trained for.
    pub context_length: usize,
    /// The norm's kind.
    pub norm: NormKind,
    /// Added to the variance in norms.
    pub norm_eps: f64,
    /// How a block is wired.
    pub block: BlockKind,
    /// Norms also behind attention and MLP (Gemma 2 and 3).
    pub post_norms: bool,
    /// RMS norms on each head of queries and keys (Qwen 3, Gemma 3).
    pub qk_norm: bool,
    /// How query, key and value weights are stored.
    pub qkv: Fusion,
    /// Biases on query, key and value projections.
    pub qkv_bias: bool,
    /// Bias on attention's output projection.
    pub output_bias: bool,
    /// Biases in the MLP.
    pub mlp_bias: bool,
    /// The MLP's activation.
    pub activation: Gate,
    /// `act(gate(x)) * up(x)` rather than `act(up(x))`.
    pub gated: bool,
    /// Gate and up are one weight: the rows of gate, then those of up (Phi-3).
    pub fused_gate_up: bool,
    /// Factor on attention scores.
    pub attention_scale: f64,
    /// `cap * tanh(score / cap)` on attention scores.
    pub attention_softcap: Option<f64>,
    /// The same on logits.
    pub logit_softcap: Option<f64>,
    /// Factor on logits.
    pub logit_scale: f64,
    /// Factor on embeddings.
    pub embedding_scale: f64,
    /// The output head is the embedding. A checkpoint without a head is taken as tied too.
    pub tied_embeddings: bool,
    /// Which elements of a head rotate together.
    pub rope_layout: RopeLayout,
    /// How many elements of a head rotate.
    pub rope_dims: usize,
    /// Rotary embedding of layers that see everything (and of all, without `local_rope`).
    pub rope: RopeConfig,
    /// Rotary embedding of sliding-window layers, where it differs (Gemma 3).
    pub local_rope: Option<RopeConfig>,
    /// For each layer, how many tokens back it sees; `None` for all.
    pub windows: Vec<Option<usize>>,
}

impl DecoderConfig {
    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.windows.len()
    }

    /// Checks what everything else relies on. `file` names the source of the numbers in messages.
    pub(super) fn validate(self, file: &str) -> Result<Self> {
        let sizes = [
            ("vocabulary size", self.vocab_size, 1 << 24),
            ("hidden size", self.hidden_size, 1 << 20),
            ("intermediate size", self.intermediate_size, 1 << 22),
            ("number of attention heads", self.heads, 1 << 14),
            ("number of key/value heads", self.kv_heads, 1 << 14),
            ("head size", self.head_dim, 1 << 14),
            ("context length", self.context_length, 1 << 31),
            ("number of layers", self.layers(), MAX_LAYERS),
        ];
        for (what, value, limit) in sizes {
            if !(1..=limit).contains(&value) {
                return Err(Error::format(file, format!("{what} is {value}; wanted 1 to {limit}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let message =
                format!("{} attention heads do not share {} key/value heads evenly", self.heads, self.kv_heads);
            return Err(Error::format(file, message));
        }
        if self.rope_dims == 0 || !self.rope_dims.is_multiple_of(2) || self.rope_dims > self.head_dim {
            let message = format!("{} rotary dimensions in heads of size {}", self.rope_dims, self.head_dim);
            return Err(Error::format(file, message));
        }
        let numbers = [
            ("norm epsilon", self.norm_eps),
            ("rope base", self.rope.base),
            ("local rope base", self.local_rope.as_ref().map_or(1.0, |r| r.base)),
            ("attention scale", self.attention_scale),
            ("attention softcap", self.attention_softcap.unwrap_or(1.0)),
            ("logit softcap", self.logit_softcap.unwrap_or(1.0)),
            ("embedding scale", self.embedding_scale),
        ];
        for (what, value) in numbers {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::format(file, format!("{what} is {value}; wanted a positive number")));
            }
        }
        if self.windows.contains(&Some(0)) {
            return Err(Error::format(file, "the sliding window is 0 tokens"));
        }
        check_scaling(&self.rope.scaling, file)?;
        Ok(self)
    }
}

/// More layers than any known model: a count from a file is checked against it before lists are made.
pub(super) const MAX_LAYERS: usize = 1024;

/// Numbers in a rope scaling that would give infinite or undefined frequencies.
fn check_scaling(scaling: &RopeScaling, file: &str) -> Result<()> {
    let positive: Vec<f64> = match scaling {
        RopeScaling::None => vec![],
        RopeScaling::Linear { factor } => vec![*factor],
        RopeScaling::Dynamic { factor, original } => vec![*factor, *original as f64],
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => {
            vec![*factor, *low_freq_factor, high_freq_factor - low_freq_factor, *original as f64]
        }
        RopeScaling::Yarn { factor, original, beta_fast, beta_slow, attention_factor } => {
            vec![*factor, *original as f64, *beta_fast, *beta_slow, *attention_factor]
        }
        RopeScaling::LongRope { short, long, original, attention_factor } => {
            [&short[..], &long[..], &[*original as f64, *attention_factor]].concat()
        }
        RopeScaling::Factors(factors) => factors.clone(),
    };
    match positive.iter().find(|v| !(v.is_finite() && **v > 0.0)) {
        Some(v) => Err(Error::format(file, format!("{v} in the rope scaling; wanted positive numbers"))),
        None => Ok(()),
    }
}

/// A number of layers from a file, checked before a list of that length is made.
pub(super) fn layer_count(layers: usize, file: &str) -> Result<usize> {
    if (1..=MAX_LAYERS).contains(&layers) {
        Ok(layers)
    } else {
        Err(Error::format(file, format!("number of layers is {layers}; wanted 1 to {MAX_LAYERS}")))
    }
}
