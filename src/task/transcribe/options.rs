//! How to load and how to transcribe.

use crate::{
    clock::{Clock, default_clock},
    dtype::DType,
    error::{Error, Result},
};
use serde::{Deserialize, Serialize};

/// How to load a speech model.
#[derive(Clone, Debug)]
pub struct TranscriberOptions {
    /// Quantizes float weights while loading: `Q8_0` halves f16 weights at hardly any loss, `Q4_K` and `Q5_0` quarter them.
    pub quantize: Option<DType>,
    /// Measures the times in [`TranscriptionStats`](super::TranscriptionStats).
    pub clock: Clock,
}

impl Default for TranscriberOptions {
    fn default() -> Self {
        Self { quantize: None, clock: default_clock }
    }
}

/// What to do with the speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Write down what is said.
    #[default]
    Transcribe,
    /// Write down what is said, in English.
    Translate,
}

/// Which times to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timestamps {
    /// One segment for each window of 30 seconds; the fastest.
    None,
    /// Of segments.
    #[default]
    Segment,
    /// Of segments and of words.
    Word,
}

/// How to transcribe. The defaults are those of OpenAI's command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TranscribeOptions {
    /// A code or English name (`de`, `german`); detected in the first 30 seconds if `None`.
    pub language: Option<String>,
    /// Transcribe or translate.
    pub task: Task,
    /// Which times.
    pub timestamps: Timestamps,
    /// Temperatures to decode at, each when the text of the one before is refused. Above 0 words are drawn by chance.
    pub temperature: Vec<f32>,
    /// Beams at temperature 0; 1 is greedy decoding.
    pub beam_size: usize,
    /// Texts drawn at temperatures above 0, of which the likeliest is kept.
    pub best_of: usize,
    /// Beam search goes on until `beam_size * patience` texts have come to an end.
    pub patience: f32,
    /// Exponent of the length in the choice among texts (Wu et al. 2016); the mean log-probability decides if `None`.
    pub length_penalty: Option<f32>,
    /// A text that compresses better than this repeats itself and is refused.
    pub compression_ratio_threshold: Option<f64>,
    /// A text with a lower mean log-probability is refused.
    pub log_probability_threshold: Option<f64>,
    /// A window more likely silent than this, whose text would be refused for its probability, is taken for silent.
    pub no_speech_threshold: Option<f64>,
    /// Silences longer than so many seconds, around what looks misheard, are skipped and the text there is dropped, as in
    /// OpenAI's implementation. For [`Timestamps::Word`].
    pub hallucination_silence_threshold: Option<f64>,
    /// Gives the model the text before a window. Text flows better so, but may repeat what was misheard.
    pub condition_on_previous_text: bool,
    /// Words to expect: names, terms, style. The model takes it for the text before.
    pub initial_prompt: Option<String>,
    /// Most tokens of a window; half the model's positions if `None`.
    pub max_tokens: Option<usize>,
    /// The same seed draws the same words.
    pub seed: u64,
}

impl Default for TranscribeOptions {
    fn default() -> Self {
        Self {
            language: None,
            task: Task::Transcribe,
            timestamps: Timestamps::Segment,
            temperature: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            beam_size: 1,
            best_of: 5,
            patience: 1.0,
            length_penalty: None,
            compression_ratio_threshold: Some(2.4),
            log_probability_threshold: Some(-1.0),
            no_speech_threshold: Some(0.6),
            hallucination_silence_threshold: None,
            condition_on_previous_text: true,
            initial_prompt: None,
            max_tokens: None,
            seed: 0,
        }
    }
}

/// How to listen to live sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiveOptions {
    /// Seconds of new sound after which an utterance is heard again.
    pub interval: f64,
    /// Seconds of quiet that end an utterance.
    pub pause: f64,
    /// Probability of speech from which on it is speech.
    pub speech_threshold: f32,
    /// Seconds after which running speech is cut between two words.
    pub longest: f64,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self { interval: 1.0, pause: 0.6, speech_threshold: 0.5, longest: 25.0 }
    }
}

impl LiveOptions {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value, range) in [
            ("interval", self.interval, 0.1..=10.0),
            ("pause", self.pause, 0.1..=10.0),
            ("speech_threshold", f64::from(self.speech_threshold), 0.01..=0.99),
            ("longest", self.longest, 5.0..=29.0),
        ] {
            if !range.contains(&value) {
                let (least, most) = range.into_inner();
                let message = format!("{name} {value}; {least} to {most} are possible");
                return Err(Error::argument("live", message));
            }
        }
        Ok(())
    }
}

impl TranscribeOptions {
    pub(super) fn check(&self) -> Result<()> {
        let fail = |message: String| Err(Error::argument("transcribe", message));
        if self.temperature.is_empty() {
            return fail("no temperature".into());
        }
        if let Some(t) = self.temperature.iter().find(|t| !(0.0..=10.0).contains(*t)) {
            return fail(format!("temperature {t}; 0 to 10 are possible"));
        }
        for (name, value) in [("beam_size", self.beam_size), ("best_of", self.best_of)] {
            if !(1..=64).contains(&value) {
                return fail(format!("{name} {value}; 1 to 64 are possible"));
            }
        }
        if !(self.patience > 0.0 && self.patience <= 100.0) {
            return fail(format!("patience {}; above 0 to 100 are possible", self.patience));
        }
        if self.length_penalty.is_some_and(|p| !(0.0..=10.0).contains(&p)) {
            return fail(format!("length_penalty {:?}; 0 to 10 are possible", self.length_penalty));
        }
        if let Some(threshold) = self.hallucination_silence_threshold {
            if !(threshold > 0.0 && threshold <= 60.0) {
                return fail(format!(
                    "hallucination_silence_threshold {threshold}; above 0 to 60 seconds are possible"
                ));
            }
            if self.timestamps != Timestamps::Word {
                return fail("hallucination_silence_threshold is for timestamps of words".into());
            }
        }
        if self.max_tokens == Some(0) {
            return fail("max_tokens 0".into());
        }
        Ok(())
    }
}
