//! A running transcription: windows of 30 seconds, one after the other, in short steps.

use super::{
    Shared,
    align::align,
    decoding::{Decoded, Decoding, Strategy, likeliest},
    live::Live,
    options::{Task, Timestamps, TranscribeOptions},
    segment::{Partial, Segment},
    silence::{Next, Place, skip_silence},
    tokens::TIMESTAMP_STEP,
    window::{FRAMES_PER_SECOND, Sliding},
    words::add_words,
};
use crate::{
    error::{Error, Result},
    models::whisper::{CrossKeys, EncoderState},
};
use serde::Serialize;
use std::{collections::VecDeque, sync::Arc};

/// Above this temperature a text is no context for the next.
const PROMPT_TEMPERATURE: f32 = 0.5;

/// What a step of a transcription has brought.
#[derive(Clone, Debug, PartialEq)]
pub enum TranscribeStep {
    /// Nothing goes on without more sound: [`Transcription::push`], or [`Transcription::finish`] at its end.
    NeedAudio,
    /// Something was computed.
    Working {
        /// Seconds of the sound that are done with.
        position: f64,
        /// Tokens of the present window so far.
        tokens: usize,
    },
    /// Text that may still change: each time that a word more is known, and of live sound each time that it was heard.
    Partial(Partial),
    /// A segment, as it will stay.
    Segment(Segment),
    /// That was all.
    Done(TranscriptionStats),
}

/// Where the time went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TranscriptionStats {
    /// Length of the sound in seconds.
    pub audio_seconds: f64,
    /// Windows heard.
    pub windows: usize,
    /// Tokens decoded, those of refused texts included.
    pub tokens: usize,
    /// Texts that were refused and decoded again.
    pub fallbacks: usize,
    /// Milliseconds in the encoder.
    pub encode_ms: f64,
    /// Milliseconds in the decoder.
    pub decode_ms: f64,
    /// Milliseconds for aligning words.
    pub align_ms: f64,
}

pub(super) enum Phase {
    /// Waits for a window, or gives out segments.
    Between,
    Encoding(EncoderState),
    Decoding {
        decoding: Box<Decoding>,
        cross: CrossKeys,
        attempt: usize,
    },
    Done,
}

/// A window's text in segments.
struct Cut {
    segments: Vec<Segment>,
    /// Frames that are done with.
    next: usize,
    /// The text ends with a single timestamp: nothing was said after it.
    ended: bool,
}

/// A transcription in progress: sound goes in by [`Transcription::push`], segments come out of [`Transcription::step`].
///
/// Each step is short (a layer of the encoder, a token of the decoder), so that a caller can stop between any two, by dropping
/// it. What is held does not grow with the length of the sound.
pub struct Transcription {
    pub(super) shared: Arc<Shared>,
    pub(super) options: TranscribeOptions,
    pub(super) window: Sliding,
    pub(super) phase: Phase,
    pub(super) live: Option<Box<Live>>,
    pub(super) language: Option<&'static str>,
    /// The language was detected, not given.
    detected: bool,
    /// Text before the window, as far as it fits into a prompt.
    context: Vec<u32>,
    pub(super) ready: VecDeque<TranscribeStep>,
    segments: usize,
    /// Text of the window that has been handed out.
    shown: usize,
    last_speech: f64,
    pub(super) stats: TranscriptionStats,
}

impl Transcription {
    pub(super) fn new(shared: Arc<Shared>, options: &TranscribeOptions) -> Result<Self> {
        options.check()?;
        let (tokens, config) = (&shared.tokens, shared.model.config());
        let language = match &options.language {
            Some(wanted) => Some(tokens.language(wanted)?),
            None if tokens.languages.is_empty() => Some("en"),
            None => None,
        };
        if options.task == Task::Translate && tokens.tasks.is_none() {
            return Err(Error::Unsupported("translation: this model knows English only".into()));
        }
        let mut context = Vec::new();
        if let Some(prompt) = options.initial_prompt.as_deref().map(str::trim).filter(|p| !p.is_empty()) {
            // Special tokens spelled out in a prompt are not the user's to give.
            context = shared.tokenizer.encode(&format!(" {prompt}"), false)?;
            context.retain(|&id| id < tokens.end);
        }
        Ok(Self {
            window: Sliding::new(config.num_mel_bins, 2 * config.max_source_positions)?,
            phase: Phase::Between,
            live: None,
            detected: language.is_none(),
            language,
            context,
            ready: VecDeque::new(),
            segments: 0,
            shown: 0,
            last_speech: 0.0,
            stats: TranscriptionStats::default(),
            options: options.clone(),
            shared,
        })
    }

    /// Takes samples of mono sound at 16 kHz, from -1 to 1.
    ///
    /// # Errors
    /// [`Error::Argument`] after [`Transcription::finish`].
    pub fn push(&mut self, samples: &[f32]) -> Result<()> {
        if self.window.is_finished() {
            return Err(Error::argument("transcribe", "sound after its end"));
        }
        self.window.push(samples);
        if let Some(live) = &mut self.live {
            live.push(samples);
        }
        Ok(())
    }

    /// The sound is over.
    pub fn finish(&mut self) {
        self.window.finish();
        if let Some(live) = &mut self.live {
            live.finish();
        }
    }

    /// Does somebody speak? Of live sound; `false` otherwise.
    pub fn is_speaking(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.is_speaking())
    }

    /// Code of the language, once it is known: given, or detected in the first window.
    pub fn language(&self) -> Option<&'static str> {
        self.language
    }

    /// Seconds of the sound that are done with.
    pub fn position(&self) -> f64 {
        (self.window.seek() as f64 / FRAMES_PER_SECOND).min(self.window.seconds())
    }

    /// Seconds of sound so far.
    pub fn duration(&self) -> f64 {
        self.window.seconds()
    }

    /// Does a little of what is to be done.
    ///
    /// # Errors
    /// Those of the model; the transcription is over then.
    pub async fn step(&mut self) -> Result<TranscribeStep> {
        if let Some(step) = self.ready.pop_front() {
            return Ok(step);
        }
        // An error leaves it done.
        match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Between => match self.live.take() {
                Some(mut live) => {
                    let step = self.listen(&mut live);
                    self.live = Some(live);
                    step
                }
                None => self.begin_window(),
            },
            Phase::Encoding(state) => self.encode(state).await,
            Phase::Decoding { decoding, cross, attempt } => self.decode(decoding, cross, attempt).await,
            Phase::Done => Ok(self.done()),
        }
    }

    pub(super) fn done(&self) -> TranscribeStep {
        TranscribeStep::Done(TranscriptionStats { audio_seconds: self.window.seconds(), ..self.stats.clone() })
    }

    pub(super) fn working(&self) -> TranscribeStep {
        let tokens = if let Phase::Decoding { decoding, .. } = &self.phase { decoding.len() } else { 0 };
        TranscribeStep::Working { position: self.position(), tokens }
    }

    pub(super) fn now(&self) -> f64 {
        (self.shared.clock)()
    }

    fn begin_window(&mut self) -> Result<TranscribeStep> {
        if !self.window.is_ready() {
            self.phase = Phase::Between;
            return Ok(TranscribeStep::NeedAudio);
        }
        if self.window.len() == 0 {
            return Ok(self.done());
        }
        self.begin_hearing(self.window.size())
    }

    /// Begins to hear the window, filled up to `size` frames.
    pub(super) fn begin_hearing(&mut self, size: usize) -> Result<TranscribeStep> {
        let start = self.now();
        let model = &self.shared.model;
        let silence = !self.has_timestamps();
        let mel = self.window.tensor(model.device(), size, silence)?;
        self.phase = Phase::Encoding(model.begin_encode(&mel)?);
        self.stats.windows += 1;
        self.stats.encode_ms += self.now() - start;
        Ok(self.working())
    }

    async fn encode(&mut self, mut state: EncoderState) -> Result<TranscribeStep> {
        let start = self.now();
        let shared = self.shared.clone();
        if shared.model.encode_layer(&mut state)? {
            self.phase = Phase::Encoding(state);
        } else {
            let cross = shared.model.cross_keys(&shared.model.finish_encode(state)?)?;
            // Of live sound, the first second may not have told.
            if self.language.is_none() || self.detected && self.live.is_some() && self.segments == 0 {
                self.language = Some(self.detect(&cross).await?);
            }
            let decoding = Box::new(self.begin_text(0)?);
            self.phase = Phase::Decoding { decoding, cross, attempt: 0 };
        }
        self.stats.encode_ms += self.now() - start;
        Ok(self.working())
    }

    /// The likeliest language.
    async fn detect(&self, cross: &CrossKeys) -> Result<&'static str> {
        let (model, tokens) = (&self.shared.model, &self.shared.tokens);
        let hidden = model.decode(&[tokens.start], 1, cross, &mut model.new_cache())?;
        let logits = model.logits(&hidden)?.to_vec::<f32>().await?;
        let row: Vec<f32> = tokens.languages.iter().map(|l| logits[l.1 as usize]).collect();
        Ok(tokens.languages[likeliest(&row)].0)
    }

    /// The tokens that tell the model what to write.
    fn instructions(&self) -> Vec<u32> {
        let tokens = &self.shared.tokens;
        let mut ids = vec![tokens.start];
        if let Some(tasks) = tokens.tasks {
            ids.extend(self.language.and_then(|code| tokens.language_id(code)));
            ids.push(match self.options.task {
                Task::Transcribe => tasks.transcribe,
                Task::Translate => tasks.translate,
            });
        }
        ids
    }

    /// Begins to decode the window for the `attempt`th time.
    fn begin_text(&self, attempt: usize) -> Result<Decoding> {
        let (options, tokens) = (&self.options, &self.shared.tokens);
        let positions = self.shared.model.config().max_target_positions;
        let half = positions / 2;
        let mut prompt = Vec::new();
        if let Some(previous) = tokens.previous.filter(|_| !self.context.is_empty()) {
            prompt.push(previous);
            prompt.extend(&self.context[self.context.len().saturating_sub(half.saturating_sub(1))..]);
        }
        let start_at = prompt.len();
        prompt.extend(self.instructions());
        let timestamps = self.has_timestamps();
        if !timestamps {
            prompt.push(tokens.no_timestamps);
        }
        let draft = self.live.as_ref().is_some_and(|live| live.is_draft());
        let temperature = if draft { 0.0 } else { options.temperature[attempt] };
        let width = match temperature {
            _ if draft => 1,
            t if t > 0.0 => options.best_of,
            _ => options.beam_size,
        };
        let beam = temperature == 0.0 && width > 1;
        let strategy = Strategy {
            temperature,
            width,
            beam,
            patience: options.patience,
            length_penalty: options.length_penalty,
            timestamps,
            limit: options.max_tokens.unwrap_or(half).min(positions),
        };
        // Another draw for each window and attempt.
        let seed = options.seed.wrapping_add((self.window.seek() * options.temperature.len() + attempt) as u64);
        let given = self.live.as_ref().map_or(&[][..], |live| live.committed());
        Ok(Decoding::new(&self.shared.model, prompt, start_at, given, strategy, seed))
    }

    async fn decode(
        &mut self,
        mut decoding: Box<Decoding>,
        cross: CrossKeys,
        attempt: usize,
    ) -> Result<TranscribeStep> {
        let start = self.now();
        let shared = self.shared.clone();
        let more = decoding.step(&shared.model, &cross, &shared.tokens).await?;
        self.stats.tokens += 1;
        self.stats.decode_ms += self.now() - start;
        if more {
            self.show(decoding.said())?;
            self.phase = Phase::Decoding { decoding, cross, attempt };
            return Ok(self.working());
        }
        self.shown = 0;
        let decoded = decoding.finish(&shared.tokenizer, &shared.tokens)?;
        let draft = self.live.as_ref().is_some_and(|live| live.is_draft());
        if !draft && attempt + 1 < self.options.temperature.len() && self.refuses(&decoded) {
            self.stats.fallbacks += 1;
            let decoding = Box::new(self.begin_text(attempt + 1)?);
            self.phase = Phase::Decoding { decoding, cross, attempt: attempt + 1 };
            return Ok(self.working());
        }
        match self.live.take() {
            Some(mut live) => {
                let ended = self.end_hearing(&mut live, decoded, &cross).await;
                self.live = Some(live);
                ended?;
            }
            None => self.end_window(decoded, &cross).await?,
        }
        self.phase = Phase::Between;
        Ok(self.working())
    }

    /// Hands out the words of the window so far, if there are more than before.
    fn show(&mut self, said: &[u32]) -> Result<()> {
        if self.live.is_some() {
            return Ok(());
        }
        let tokens = &self.shared.tokens;
        let words: Vec<u32> = said.iter().copied().filter(|&id| id < tokens.end).collect();
        if words.len() == self.shown {
            return Ok(());
        }
        self.shown = words.len();
        let text = self.shared.tokenizer.decode(&words, true)?;
        let start = self.window.seek() as f64 / FRAMES_PER_SECOND;
        let end = start + self.window.len() as f64 / FRAMES_PER_SECOND;
        self.ready.push_back(TranscribeStep::Partial(Partial { start, end, committed: String::new(), text }));
        Ok(())
    }

    /// Are there timestamps among the tokens? Live utterances have their times from the detection of speech.
    fn has_timestamps(&self) -> bool {
        self.live.is_none() && self.options.timestamps != Timestamps::None
    }
    fn is_unlikely(&self, decoded: &Decoded) -> bool {
        self.options.log_probability_threshold.is_some_and(|t| decoded.average_log_probability < t)
    }
    pub(super) fn is_likely(&self, decoded: &Decoded) -> bool {
        self.options.log_probability_threshold.is_some_and(|t| decoded.average_log_probability > t)
    }
    pub(super) fn is_silent(&self, decoded: &Decoded) -> bool {
        self.options.no_speech_threshold.is_some_and(|t| decoded.no_speech_probability > t)
    }
    /// Should the window be decoded again?
    pub(super) fn refuses(&self, decoded: &Decoded) -> bool {
        let repeats = self.options.compression_ratio_threshold.is_some_and(|t| decoded.compression_ratio > t);
        let unlikely = self.is_unlikely(decoded);
        (decoded.looped || repeats || unlikely) && !(unlikely && self.is_silent(decoded))
    }

    /// Makes segments of a window's text and moves the window on.
    async fn end_window(&mut self, decoded: Decoded, cross: &CrossKeys) -> Result<()> {
        let (seek, size) = (self.window.seek(), self.window.len());
        if self.is_silent(&decoded) && !self.is_likely(&decoded) {
            self.window.advance(size);
            return Ok(());
        }
        let offset = seek as f64 / FRAMES_PER_SECOND;
        let Cut { mut segments, mut next, ended } = self.cut(&decoded, offset, size)?;
        if self.options.timestamps == Timestamps::Word {
            let start = self.now();
            let speech_before = self.last_speech;
            self.add_words(&mut segments, offset, size, cross).await?;
            // The last word's end is a better place to go on than the timestamp after it.
            let word = segments.iter().rev().find_map(|s| s.words.as_ref()?.last()).map(|w| w.end);
            let end = word.or(segments.last().map(|s| s.end));
            if let Some(end) = end.filter(|&end| end > offset && !ended) {
                next = ((end * FRAMES_PER_SECOND).round() as usize).saturating_sub(seek);
            }
            if let Some(threshold) = self.options.hallucination_silence_threshold {
                let seconds = |frames: usize| frames as f64 / FRAMES_PER_SECOND;
                let place = Place {
                    start: offset,
                    end: seconds(seek + size),
                    full_end: seconds(seek + self.window.size()),
                    sound_end: self.window.is_finished().then(|| self.window.seconds()),
                    last_speech: speech_before,
                };
                let at = |time: f64| ((time * FRAMES_PER_SECOND).round() as usize).saturating_sub(seek);
                match skip_silence(&mut segments, &place, threshold, ended) {
                    Next::AsItWas => {}
                    Next::End => next = size,
                    Next::At(time) => next = at(time),
                    Next::Again(time) => {
                        segments.clear();
                        next = at(time);
                    }
                }
            }
            let word = segments.iter().rev().find_map(|s| s.words.as_ref()?.last()).map(|w| w.end);
            self.last_speech = word.or(segments.last().map(|s| s.end)).unwrap_or(speech_before);
            self.stats.align_ms += self.now() - start;
        }
        segments.retain(|s| s.start != s.end && !s.text.trim().is_empty());
        let said: Vec<u32> = segments.iter().flat_map(|s| &s.tokens).copied().collect();
        self.keep_context(&said, &decoded);
        segments.into_iter().for_each(|segment| self.give(segment));
        // A window that would not move would be heard forever.
        self.window.advance(if next == 0 { size } else { next.min(size) });
        Ok(())
    }

    /// Hands out a segment.
    pub(super) fn give(&mut self, mut segment: Segment) {
        segment.id = self.segments;
        self.segments += 1;
        self.ready.push_back(TranscribeStep::Segment(segment));
    }

    /// Remembers what was said for the next prompt, as far as it is wanted and fits.
    pub(super) fn keep_context(&mut self, said: &[u32], decoded: &Decoded) {
        self.context.extend(said);
        if !self.options.condition_on_previous_text || decoded.temperature > PROMPT_TEMPERATURE || decoded.looped {
            self.context.clear();
        }
        let kept = self.shared.model.config().max_target_positions / 2;
        self.context.drain(..self.context.len().saturating_sub(kept));
    }

    /// Cuts a text at its pairs of timestamps.
    fn cut(&self, decoded: &Decoded, offset: f64, size: usize) -> Result<Cut> {
        let (ids, tokens) = (&decoded.tokens, &self.shared.tokens);
        let time = |id: &u32| tokens.seconds(*id);
        let is_time = |i: usize| time(&ids[i]).is_some();
        let mut cuts: Vec<usize> = (1..ids.len()).filter(|&i| is_time(i - 1) && is_time(i)).collect();
        // A lone timestamp at the end: nothing was said after it.
        let ended = ids.len() >= 2 && !is_time(ids.len() - 2) && is_time(ids.len() - 1);
        let mut segments = Vec::new();
        if cuts.is_empty() {
            let last = ids.iter().rev().find_map(time).filter(|&t| t != 0.0);
            let duration = last.unwrap_or(size as f64 / FRAMES_PER_SECOND);
            segments.push(self.segment(decoded, ids, offset, offset + duration)?);
            return Ok(Cut { segments, next: size, ended });
        }
        if ended {
            cuts.push(ids.len());
        }
        let mut from = 0;
        for &cut in &cuts {
            let part = &ids[from..cut];
            let at = |id: Option<&u32>| offset + id.and_then(time).unwrap_or(0.0);
            segments.push(self.segment(decoded, part, at(part.first()), at(part.last()))?);
            from = cut;
        }
        let last = time(&ids[from - 1]).unwrap_or(0.0);
        let frames = (last / TIMESTAMP_STEP).round() as usize * 2;
        Ok(Cut { segments, next: if ended { size } else { frames }, ended })
    }

    pub(super) fn segment(&self, decoded: &Decoded, ids: &[u32], start: f64, end: f64) -> Result<Segment> {
        let words: Vec<u32> = ids.iter().copied().filter(|&id| id < self.shared.tokens.end).collect();
        Ok(Segment {
            id: 0,
            start,
            end,
            text: self.shared.tokenizer.decode(&words, true)?,
            tokens: ids.to_vec(),
            words: None,
            temperature: decoded.temperature,
            average_log_probability: decoded.average_log_probability,
            compression_ratio: decoded.compression_ratio,
            no_speech_probability: decoded.no_speech_probability,
        })
    }

    pub(super) async fn add_words(
        &mut self,
        segments: &mut [Segment],
        offset: f64,
        size: usize,
        cross: &CrossKeys,
    ) -> Result<()> {
        let Shared { model, tokens, tokenizer, heads, .. } = &*self.shared;
        let text: Vec<u32> = segments.iter().flat_map(|s| &s.tokens).copied().filter(|&id| id < tokens.end).collect();
        let prompt = self.instructions();
        // Windows with more text than the model has positions for have no room for the alignment.
        if text.is_empty() || size < 2 || prompt.len() + text.len() + 2 > model.config().max_target_positions {
            segments.iter_mut().for_each(|s| s.words = Some(Vec::new()));
            return Ok(());
        }
        let times = align(model, cross, tokens, &prompt, &text, size / 2, heads).await?;
        let language = match self.options.task {
            Task::Transcribe => self.language.unwrap_or("en"),
            Task::Translate => "en",
        };
        add_words(segments, &times, tokenizer, tokens, language, offset, &mut self.last_speech)
    }
}
