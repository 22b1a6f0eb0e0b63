//! Tokenizers, chat templates, sampling, streaming detokenisation.

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

pub use detokenize::DetokenizeStream;
pub use rng::Rng;
pub use sampler::Sampler;
pub use sampling::SamplingOptions;
pub use stop::{StopMatcher, StopStep};
pub use template::{ChatTemplate, Message, RenderOptions};
pub use tokenizer::Tokenizer;
