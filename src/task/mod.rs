//! What a person asks for: generating text, transcribing speech.
//!
//! [`TextGenerator`] loads a decoder model with its tokenizer and answers prompts. A [`Generation`] is a step machine:
//! each [`Generation::step`] is short (a slice of the prompt, or one token), so that a browser's event loop, a progress
//! bar or an abort gets its turn in between. Dropping a generation at any point leaves the model usable, and what it has
//! computed is kept for the next prompt that begins the same way.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use votive::{hub, task::{GenerateOptions, LoadOptions, Step, TextGenerator}};
//!
//! # fn main() -> votive::Result<()> {
//! let files = hub::resolve_model("smollm2.gguf", &mut |_| ControlFlow::Continue(()))?;
//! let model = TextGenerator::open(&files, &LoadOptions::default(), &mut |_| ControlFlow::Continue(()))?;
//! let options = GenerateOptions { max_tokens: Some(64), ..Default::default() };
//! for step in model.generate("Once upon a time", &options)? {
//!     if let Step::Token { text, .. } | Step::Done { text, .. } = step? {
//!         print!("{text}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

#[cfg_attr(all(target_arch = "wasm32", not(feature = "webgpu")), path = "no_draw.rs")]
mod draw;
mod generation;
mod generator;
mod measure;
mod memory;
#[cfg(feature = "webgpu")]
mod rehearse;
#[cfg(feature = "whisper")]
mod transcribe;

pub use crate::clock::{Clock, default_clock};
pub use crate::models::LoadProgress;
pub use generation::{FinishReason, Generation, GenerationStats, Step};
pub use generator::{GenerateOptions, LoadOptions, ModelInfo, Prompt, TextGenerator};
pub use measure::measure_decode;
#[cfg(feature = "whisper")]
pub use transcribe::{
    LANGUAGES, LiveOptions, Partial, Segment, Task, Timestamps, TranscribeOptions, TranscribeStep, Transcriber,
    TranscriberOptions, Transcript, TranscriptFormat, TranscriptWriter, Transcription, TranscriptionStats, Word,
};
