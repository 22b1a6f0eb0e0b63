//! Sizes of a Whisper model.

use crate::{
    error::{Error, Result},
    format::Metadata,
};
use serde::Deserialize;

/// Sizes of a Whisper model, under the names of Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WhisperConfig {
    /// Width of encoder and decoder.
    pub d_model: usize,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Attention heads of the encoder.
    pub encoder_attention_heads: usize,
    /// Inner width of the encoder's feed-forward layers.
    pub encoder_ffn_dim: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Attention heads of the decoder.
    pub decoder_attention_heads: usize,
    /// Inner width of the decoder's feed-forward layers.
    pub decoder_ffn_dim: usize,
    /// Tokens.
    pub vocab_size: usize,
    /// Mel bins of a frame.
    pub num_mel_bins: usize,
    /// Positions of the encoder: half the frames of a window.
    pub max_source_positions: usize,
    /// Positions of the decoder: most tokens of a text.
    pub max_target_positions: usize,
}

impl WhisperConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other models, [`Error::Format`] for what is missing or out of range.
    pub fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(default)]
            model_type: String,
            #[serde(default)]
            scale_embedding: bool,
        }
        let format = |e: serde_json::Error| Error::format("config.json", e.to_string());
        let kind: Kind = serde_json::from_str(json).map_err(format)?;
        if kind.model_type != "whisper" {
            return Err(Error::Unsupported(format!("speech model of type {:?}; whisper is known", kind.model_type)));
        }
        if kind.scale_embedding {
            return Err(Error::Unsupported("Whisper with scale_embedding".into()));
        }
        let config: Self = serde_json::from_str(json).map_err(format)?;
        config.check().map(|()| config)
    }

    /// Takes the sizes that a whisper.cpp file states; see [`ggml`](crate::format::ggml).
    ///
    /// # Errors
    /// [`Error::Format`] for what is missing or out of range.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let get = |name: &str| {
            let key = format!("whisper.{name}");
            let missing = || Error::format("model", format!("{key} is missing"));
            metadata.uint(&key).and_then(|v| usize::try_from(v).ok()).ok_or_else(missing)
        };
        let d = get("audio_state")?;
        if get("text_state")? != d {
            return Err(Error::Unsupported("Whisper with an encoder and a decoder of different widths".into()));
        }
        let config = Self {
            d_model: d,
            encoder_layers: get("audio_layers")?,
            encoder_attention_heads: get("audio_heads")?,
            encoder_ffn_dim: d.saturating_mul(4),
            decoder_layers: get("text_layers")?,
            decoder_attention_heads: get("text_heads")?,
            decoder_ffn_dim: d.saturating_mul(4),
            vocab_size: get("vocab_size")?,
            num_mel_bins: get("mel_bins")?,
            max_source_positions: get("audio_context")?,
            max_target_positions: get("text_context")?,
        };
        config.check().map(|()| config)
    }

    /// Sizes that no model has are refused before anything is computed from them.
    pub(super) fn check(&self) -> Result<()> {
        let fail = |what: &str, value: usize| Err(Error::format("config.json", format!("{what} is {value}")));
        for (what, value, most) in [
            ("d_model", self.d_model, 1 << 16),
            ("encoder_layers", self.encoder_layers, 1 << 10),
            ("decoder_layers", self.decoder_layers, 1 << 10),
            ("encoder_ffn_dim", self.encoder_ffn_dim, 1 << 20),
            ("decoder_ffn_dim", self.decoder_ffn_dim, 1 << 20),
            ("encoder_attention_heads", self.encoder_attention_heads, self.d_model),
            ("decoder_attention_heads", self.decoder_attention_heads, self.d_model),
            ("vocab_size", self.vocab_size, 1 << 24),
            ("num_mel_bins", self.num_mel_bins, 512),
            ("max_source_positions", self.max_source_positions, 1 << 16),
            ("max_target_positions", self.max_target_positions, 1 << 16),
        ] {
            if !(1..=most).contains(&value) {
                return fail(what, value);
            }
        }
        for heads in [self.encoder_attention_heads, self.decoder_attention_heads] {
            if !self.d_model.is_multiple_of(heads) {
                return fail(&format!("d_model, not a multiple of {heads} heads,"), self.d_model);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"model_type": "whisper", "d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6,
        "encoder_ffn_dim": 1536, "decoder_layers": 4, "decoder_attention_heads": 6, "decoder_ffn_dim": 1536,
        "vocab_size": 51864, "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448}"#;

    #[test]
    fn odd_configurations_are_refused() {
        assert_eq!(WhisperConfig::from_json(TINY).unwrap().d_model, 384);
        for (from, to, message) in [
            ("\"whisper\"", "\"bart\"", "bart"),
            ("384", "0", "d_model is 0"),
            ("384", "383", "not a multiple of 6"),
            ("51864", "-1", "config.json"),
            ("1500", "99999999", "max_source_positions is 99999999"),
            ("\"vocab_size\"", "\"vocabulary\"", "vocab_size"),
        ] {
            let error = WhisperConfig::from_json(&TINY.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
