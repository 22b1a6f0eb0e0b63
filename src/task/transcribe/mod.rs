//! Speech to text with Whisper: files of any length, live sound, timestamps of segments and words, translation to English.
//!
//! A [`Transcriber`] is loaded once. A [`Transcription`] takes sound as it comes and gives segments as they are final;
//! [`Transcriber::transcribe`] runs one over samples in memory.
//!
//! Decoding follows OpenAI's implementation (Radford et al. 2022) step by step: rules for timestamps, suppressed tokens,
//! fallback to higher temperatures, detection of silence, beam search, the text before as a prompt, the sliding window, and word
//! times by aligned attention. Beyond it, texts that begin to repeat themselves are stopped and cut.

mod activity;
mod align;
mod decoding;
mod live;
mod options;
mod output;
mod repetition;
mod rules;
mod segment;
mod silence;
mod tokens;
mod transcription;
mod vocabulary;
mod window;
mod words;

pub use options::{LiveOptions, Task, Timestamps, TranscribeOptions, TranscriberOptions};
pub use output::{TranscriptFormat, TranscriptWriter};
pub use segment::{Partial, Segment, Transcript, Word};
pub use tokens::LANGUAGES;
pub use transcription::{TranscribeStep, Transcription, TranscriptionStats};

use crate::clock::Clock;
use crate::{
    device::Device,
    error::{Error, Result},
    format::{ByteSource, Checkpoint},
    models::{
        LoadProgress,
        silero::SileroVad,
        whisper::{Whisper, WhisperConfig},
    },
    nn::Weights,
    text::Tokenizer,
};
use live::Live;
use std::{ops::ControlFlow, rc::Rc, sync::Arc};
use tokens::{GenerationConfig, Tokens};

/// What does not change after loading; shared with running transcriptions, which so outlive the transcriber.
struct Shared {
    model: Whisper,
    tokenizer: Tokenizer,
    tokens: Tokens,
    /// Attention heads that follow the speech: layer and head.
    heads: Vec<(usize, usize)>,
    clock: Clock,
}

/// A Whisper model with its tokenizer, ready to listen.
pub struct Transcriber {
    shared: Arc<Shared>,
}

impl Transcriber {
    /// Loads a model from its files, in any order: safetensors or GGUF with `config.json`, `tokenizer.json` and as far as there
    /// is one `generation_config.json`; or a whisper.cpp file alone.
    ///
    /// `progress` hears of each weight loaded; `Break` ends loading with [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::Format`], [`Error::Weight`] and [`Error::Unsupported`] for files that are wrong, incomplete or of another kind.
    pub async fn load(
        sources: Vec<Box<dyn ByteSource>>,
        device: &Device,
        options: &TranscriberOptions,
        progress: &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        let checkpoint = Checkpoint::open(sources).await?;
        let need = async |name: &str| {
            let missing = || {
                let given: Vec<_> = checkpoint.files().collect();
                Error::argument("load", format!("{name} is missing; Whisper needs it. Given: {}", given.join(", ")))
            };
            checkpoint.side_file(name).await?.ok_or_else(missing)
        };
        let text = |name: &str, bytes| String::from_utf8(bytes).map_err(|e| Error::format(name, e.to_string()));
        let (config, tokenizer) = match checkpoint.metadata() {
            Some(metadata) if metadata.string("general.architecture") == Some("whisper") => {
                (WhisperConfig::from_metadata(metadata)?, vocabulary::tokenizer(metadata)?)
            }
            _ => {
                let config = WhisperConfig::from_json(&text("config.json", need("config.json").await?)?)?;
                (config, Tokenizer::from_json(&need("tokenizer.json").await?)?)
            }
        };
        let mut generation = GenerationConfig::default();
        // Early files state the suppressed tokens in config.json only.
        for name in ["config.json", "generation_config.json"] {
            if let Some(bytes) = checkpoint.side_file(name).await? {
                let read: GenerationConfig =
                    serde_json::from_slice(&bytes).map_err(|e| Error::format(name, e.to_string()))?;
                generation = GenerationConfig {
                    alignment_heads: read.alignment_heads.or(generation.alignment_heads),
                    suppress_tokens: read.suppress_tokens.or(generation.suppress_tokens),
                    begin_suppress_tokens: read.begin_suppress_tokens.or(generation.begin_suppress_tokens),
                    max_initial_timestamp_index: read
                        .max_initial_timestamp_index
                        .or(generation.max_initial_timestamp_index),
                };
            }
        }
        let tokens = Tokens::new(&tokenizer, config.vocab_size, &generation)?;
        let heads = alignment_heads(&generation, &config)?;
        // Weights that are quantized here become others than the file has.
        #[cfg(feature = "webgpu")]
        let preparing = match options.quantize {
            None => super::rehearse::speech(&checkpoint, &config, device),
            Some(_) => crate::device::Preparing::default(),
        };
        let weights = Weights::from_checkpoint(Rc::new(checkpoint), device);
        let model = Whisper::load(config, &weights, options.quantize, progress).await?;
        #[cfg(feature = "webgpu")]
        preparing.ready(0).await?;
        Ok(Self { shared: Arc::new(Shared { model, tokenizer, tokens, heads, clock: options.clock }) })
    }

    /// Loads the model in these files of this machine onto `device`. The paths of a folder, file or hub id come from
    /// [`hub::resolve_model`](crate::hub::resolve_model).
    ///
    /// # Errors
    /// As [`Transcriber::load`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(
        paths: &[impl AsRef<std::path::Path>],
        device: &Device,
        options: &TranscriberOptions,
        progress: &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        let open = |path| Ok(Box::new(crate::format::FileSource::open(path)?) as Box<dyn ByteSource>);
        let sources = paths.iter().map(open).collect::<Result<_>>()?;
        pollster::block_on(Self::load(sources, device, options, progress))
    }

    /// The model.
    pub fn model(&self) -> &Whisper {
        &self.shared.model
    }
    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.shared.tokenizer
    }
    /// Codes of the languages that it knows; empty for models that know English only.
    pub fn languages(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.shared.tokens.languages.iter().map(|l| l.0)
    }

    /// Begins a transcription; nothing is computed before its first step.
    ///
    /// # Errors
    /// [`Error::Argument`] for options out of range and unknown languages; [`Error::Unsupported`] for a translation by a model
    /// that knows English only.
    pub fn start(&self, options: &TranscribeOptions) -> Result<Transcription> {
        Transcription::new(self.shared.clone(), options)
    }

    /// Begins a transcription of live sound, as from a microphone: drive it as any other, pushing sound as it comes.
    ///
    /// Each utterance, from where speech begins to a pause, is heard again every [`LiveOptions::interval`] seconds of new sound
    /// and gives a [`TranscribeStep::Partial`] each time: words that stay and words that may change. At its end, it is
    /// heard once more and gives a [`TranscribeStep::Segment`], which begins with all that was committed. Silence costs nothing but the
    /// detection of speech, by `voice` if that is given, by loudness if not. Where the machine is slower than the sound
    /// comes, texts come later and fewer, but none is left out.
    ///
    /// ```no_run
    /// # use votive::task::*;
    /// # fn microphone() -> Option<Vec<f32>> { None }
    /// # async fn listen(transcriber: Transcriber) -> votive::Result<()> {
    /// let mut live = transcriber.start_live(&TranscribeOptions::default(), &LiveOptions::default(), None)?;
    /// loop {
    ///     match live.step().await? {
    ///         TranscribeStep::NeedAudio => match microphone() {
    ///             Some(samples) => live.push(&samples)?, // mono, 16 kHz
    ///             None => live.finish(),
    ///         },
    ///         TranscribeStep::Working { .. } => {}
    ///         TranscribeStep::Partial(partial) => eprint!("\r{}[{}]", partial.committed, partial.text),
    ///         TranscribeStep::Segment(segment) => println!("{}", segment.text),
    ///         TranscribeStep::Done(_) => return Ok(()),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Transcriber::start`].
    pub fn start_live(
        &self,
        options: &TranscribeOptions,
        live: &LiveOptions,
        voice: Option<Arc<SileroVad>>,
    ) -> Result<Transcription> {
        let mut transcription = self.start(options)?;
        transcription.live = Some(Box::new(Live::new(live, voice)?));
        Ok(transcription)
    }

    /// Transcribes mono samples at 16 kHz, from -1 to 1.
    ///
    /// # Errors
    /// As [`Transcriber::start`] and [`Transcription::step`].
    pub async fn transcribe(&self, samples: &[f32], options: &TranscribeOptions) -> Result<Transcript> {
        let mut transcription = self.start(options)?;
        let mut transcript = Transcript::default();
        let mut pieces = samples.chunks(crate::audio::SAMPLE_RATE as usize);
        loop {
            match transcription.step().await? {
                TranscribeStep::NeedAudio => match pieces.next() {
                    Some(piece) => transcription.push(piece)?,
                    None => transcription.finish(),
                },
                TranscribeStep::Working { .. } | TranscribeStep::Partial(_) => {}
                TranscribeStep::Segment(segment) => {
                    transcript.text.push_str(&segment.text);
                    transcript.segments.push(segment);
                }
                TranscribeStep::Done(stats) => {
                    transcript.language = transcription.language().unwrap_or_default().into();
                    transcript.duration = stats.audio_seconds;
                    return Ok(transcript);
                }
            }
        }
    }
}

/// The heads stated, or all of the upper half of the layers, as OpenAI's implementation takes where none are.
fn alignment_heads(generation: &GenerationConfig, config: &WhisperConfig) -> Result<Vec<(usize, usize)>> {
    let (layers, heads) = (config.decoder_layers, config.decoder_attention_heads);
    let Some(stated) = generation.alignment_heads.clone().filter(|h| !h.is_empty()) else {
        return Ok((layers / 2..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect());
    };
    match stated.iter().find(|(layer, head)| *layer >= layers || *head >= heads) {
        Some((layer, head)) => {
            let message = format!("alignment head {head} of layer {layer}; there are {layers} layers of {heads} heads");
            Err(Error::format("generation_config.json", message))
        }
        None => Ok(stated),
    }
}
