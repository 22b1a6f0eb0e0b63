//! Between text and token ids: tokenizers, chat templates, sampling, streaming detokenisation.
//!
//! - [`Tokenizer`] reads a tokenizer.json (through the `tokenizers` crate) or the vocabulary inside a GGUF file (own
//!   code: byte-level BPE and SentencePiece BPE).
//! - [`DetokenizeStream`] turns tokens into text as they come, [`StopMatcher`] ends the text at stop strings.
//! - [`ChatTemplate`] renders messages as the model was trained to see them.
//! - [`Sampler`] chooses the next token after [`SamplingOptions`].

mod bpe;
mod detokenize;
mod json;
mod merge;
mod pretokenizer;
mod rng;
mod sampler;
mod sampling;
mod spm;
mod stop;
mod template;
mod template_functions;
mod tokenizer;
mod vocab;

#[cfg(test)]
mod tests;

#[cfg(feature = "whisper")]
pub(crate) use bpe::byte_to_char;
pub use detokenize::DetokenizeStream;
pub use rng::Rng;
pub use sampler::Sampler;
pub use sampling::SamplingOptions;
pub use stop::{StopMatcher, StopStep};
pub use template::{ChatTemplate, Message, RenderOptions};
pub use tokenizer::Tokenizer;
