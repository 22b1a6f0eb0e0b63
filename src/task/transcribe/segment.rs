//! What a transcription gives.

use serde::Serialize;

/// A word and when it was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Word {
    /// With the space before it and the punctuation around it, so that the words of a segment joined are its text.
    pub text: String,
    /// Seconds from the beginning of the sound.
    pub start: f64,
    /// Seconds from the beginning of the sound.
    pub end: f64,
    /// Mean probability of its tokens.
    pub probability: f64,
}

/// A piece of speech, usually a sentence or part of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Counted from 0.
    pub id: usize,
    /// Seconds from the beginning of the sound.
    pub start: f64,
    /// Seconds from the beginning of the sound.
    pub end: f64,
    /// With the space before it, if the language has spaces.
    pub text: String,
    /// Timestamps among them.
    pub tokens: Vec<u32>,
    /// If words were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
    /// What the window was decoded at: 0 unless its text had to be refused.
    pub temperature: f32,
    /// Mean logarithm of the probabilities of the window's tokens.
    pub average_log_probability: f64,
    /// How far the window's text can be compressed; above 2.4 it repeats itself.
    pub compression_ratio: f64,
    /// How likely it is that the window holds no speech; `NaN` (null in JSON) when the model cannot say.
    pub no_speech_probability: f64,
}

/// Text that is not final yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Partial {
    /// Seconds from the beginning of the sound at which the text begins.
    pub start: f64,
    /// Seconds up to which sound was heard.
    pub end: f64,
    /// The beginning of the text, which stays as it is; of live sound only.
    pub committed: String,
    /// What follows, which may change.
    pub text: String,
}

/// A whole transcription.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transcript {
    /// The text of all segments.
    pub text: String,
    /// Code of the language, given or detected: `en`, `de` … Empty when there was nothing to hear.
    pub language: String,
    /// Length of the sound in seconds.
    pub duration: f64,
    /// In order of time.
    pub segments: Vec<Segment>,
}
