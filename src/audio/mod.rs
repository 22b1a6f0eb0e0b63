//! Sound: log-mel spectrograms, resampling, and natively the decoding of audio files.
//!
//! Samples are f32 from -1 to 1, mono, at 16,000 a second wherever a model hears them.

#[cfg(all(feature = "audio", not(target_arch = "wasm32")))]
mod decode;
mod mel;
mod resample;

#[cfg(all(feature = "audio", not(target_arch = "wasm32")))]
pub use decode::AudioFile;
pub use mel::{FRAME_STEP, LogMel, mel_filters};
pub use resample::Resampler;

/// Samples a second that speech models hear.
pub const SAMPLE_RATE: u32 = 16_000;
