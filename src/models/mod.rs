//! Models: one configurable decoder for the language models, configured from `config.json` or GGUF metadata; Whisper; a voice activity detector.

mod attention;
mod config;
mod config_gguf;
mod config_json;
mod decoder;
mod mlp;
mod names;
#[cfg(feature = "whisper")]
pub mod silero;
#[cfg(feature = "whisper")]
pub mod whisper;

pub use config::{BlockKind, DecoderConfig, Fusion, NormKind, RopeConfig};
pub use decoder::{Decoder, LoadProgress};
