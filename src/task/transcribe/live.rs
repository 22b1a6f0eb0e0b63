//! Live sound: utterances between pauses, heard again and again while they are said.
//!
//! Words are committed when two hearings in succession agree on them (LocalAgreement, Macháček et al. 2023). Later
//! hearings are told what is committed, so that it never changes.

use super::{
    activity::{Activity, Heard},
    decoding::Decoded,
    options::{LiveOptions, Timestamps},
    segment::{Partial, Segment},
    transcription::{Phase, TranscribeStep, Transcription},
    window::FRAMES_PER_SECOND,
    words::cut,
};
use crate::{
    audio::{FRAME_STEP, SAMPLE_RATE},
    error::Result,
    models::{silero::SileroVad, whisper::CrossKeys},
};
use std::sync::Arc;

/// Chunks that voice activity is judged on in one step: about a second of sound.
const CHUNKS: usize = 32;
/// Seconds of sound kept before and after speech.
const MARGIN: f64 = 0.3;
/// Seconds that fit into one hearing.
const LONGEST: f64 = 29.5;
/// Running speech is not cut in its last second, of which the words may not be whole, nor before this part of it.
const CUT_MARGIN: f64 = 1.0;
const EARLIEST_CUT: f64 = 0.4;
/// A draft is heard over at least so many frames, and so many more than its sound has: silence, which tells the model where
/// the sound ends. Fewer frames than the model was trained on are heard faster, and less surely.
const DRAFT_FRAMES: (usize, usize) = (1000, 200);

/// What a hearing is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hearing {
    /// The utterance goes on.
    Draft,
    /// The utterance is over.
    Last,
    /// The utterance goes on and has become too long.
    Cut,
}

/// What is known of the utterance being said.
pub(super) struct Live {
    activity: Activity,
    options: LiveOptions,
    finished: bool,
    /// Seconds at which it began.
    start: Option<f64>,
    /// Seconds at which it ended.
    end: Option<f64>,
    hearing: Hearing,
    /// Seconds up to which it was heard.
    heard: f64,
    committed: Vec<u32>,
    /// The words of the last hearing, the committed ones among them, as texts with their tokens.
    words: Vec<(String, Vec<u32>)>,
}

impl Live {
    pub fn new(options: &LiveOptions, silero: Option<Arc<SileroVad>>) -> Result<Self> {
        options.check()?;
        Ok(Self {
            activity: Activity::new(silero, options.speech_threshold, options.pause)?,
            options: options.clone(),
            finished: false,
            start: None,
            end: None,
            hearing: Hearing::Draft,
            heard: 0.0,
            committed: Vec::new(),
            words: Vec::new(),
        })
    }
    pub fn push(&mut self, samples: &[f32]) {
        self.activity.push(samples);
    }
    pub fn finish(&mut self) {
        self.finished = true;
    }
    pub fn is_speaking(&self) -> bool {
        self.activity.is_speaking()
    }
    /// What the next text must begin with.
    pub fn committed(&self) -> &[u32] {
        &self.committed
    }
    pub fn is_draft(&self) -> bool {
        self.hearing == Hearing::Draft
    }
    /// Frames over which a sound of `len` frames is heard, of `size` at most.
    pub fn context(&self, len: usize, size: usize) -> usize {
        match self.hearing {
            Hearing::Draft => (len + DRAFT_FRAMES.1).max(DRAFT_FRAMES.0).next_multiple_of(2).min(size),
            _ => size,
        }
    }
    fn seconds(&self) -> f64 {
        self.activity.heard() as f64 / f64::from(SAMPLE_RATE)
    }
    /// Takes a hearing's words; those that the one before had too are committed, but not the last of either, whose
    /// sound may not be complete.
    fn agree(&mut self, words: Vec<(String, Vec<u32>)>) {
        let compared = self.words.iter().zip(&words).take(self.words.len().min(words.len()).saturating_sub(1));
        let agreed: Vec<u32> =
            compared.take_while(|(old, new)| old.1 == new.1).flat_map(|(_, new)| &new.1).copied().collect();
        if agreed.len() > self.committed.len() {
            self.committed = agreed;
        }
        self.words = words;
    }
    /// Forgets the utterance; another goes on at `start`, or none.
    fn restart(&mut self, start: Option<f64>) {
        (self.start, self.end) = (start, None);
        self.heard = start.unwrap_or(0.0);
        self.committed.clear();
        self.words.clear();
    }
}

fn frame(seconds: f64) -> usize {
    (seconds.max(0.0) * FRAMES_PER_SECOND).round() as usize
}

impl Transcription {
    /// Hears whether somebody speaks, and begins to hear what.
    pub(super) fn listen(&mut self, live: &mut Live) -> Result<TranscribeStep> {
        self.phase = Phase::Between;
        if live.end.is_none() {
            let heard = live.activity.hear(CHUNKS, live.finished)?;
            let seconds = |sample: u64| sample as f64 / f64::from(SAMPLE_RATE);
            match heard {
                Heard::Start(at) => {
                    let earliest = self.window.seek() as f64 / FRAMES_PER_SECOND;
                    live.restart(Some((seconds(at) - MARGIN).max(earliest)));
                }
                Heard::End(at) => live.end = Some((seconds(at) + MARGIN).min(live.seconds())),
                Heard::Nothing if live.finished && live.start.is_some() => live.end = Some(live.seconds()),
                Heard::Same | Heard::Nothing => {}
            }
            if live.start.is_none() {
                // Silence is forgotten but for what may turn out to be the beginning of speech.
                let kept = frame(live.seconds() - 2.0 * MARGIN);
                self.window.advance(kept.saturating_sub(self.window.seek()));
            }
            if live.end.is_none() && heard != Heard::Nothing {
                return Ok(self.working());
            }
        }
        let Some(start) = live.start else {
            if live.finished {
                self.phase = Phase::Done;
                return Ok(self.done());
            }
            return Ok(TranscribeStep::NeedAudio);
        };
        let now = live.seconds();
        live.hearing = if live.end.is_some() {
            Hearing::Last
        } else if now - start >= live.options.longest {
            Hearing::Cut
        } else if now - live.heard.max(start) >= live.options.interval {
            Hearing::Draft
        } else {
            return Ok(TranscribeStep::NeedAudio);
        };
        // Sound may have come faster than it could be heard.
        let end = live.end.unwrap_or(now);
        if end - start > (live.options.longest + live.options.interval).min(LONGEST) {
            live.hearing = Hearing::Cut;
        }
        live.heard = if live.hearing == Hearing::Cut { (start + live.options.longest).min(end) } else { end };
        self.window.advance(frame(start).saturating_sub(self.window.seek()));
        self.window.limit(Some((live.heard * f64::from(SAMPLE_RATE)) as usize / FRAME_STEP));
        self.begin_hearing(live.context(self.window.len(), self.window.size()))
    }

    /// Takes what was heard of an utterance.
    pub(super) async fn end_hearing(&mut self, live: &mut Live, decoded: Decoded, cross: &CrossKeys) -> Result<()> {
        self.window.limit(None);
        let tokens = &self.shared.tokens;
        let silent = self.is_silent(&decoded) && !self.is_likely(&decoded) && live.committed.is_empty();
        let ids: Vec<u32> = decoded.tokens.iter().copied().filter(|&id| id < tokens.end).collect();
        let (start, end) = (live.start.unwrap_or(0.0), live.heard);
        if live.is_draft() {
            // What would be refused is no draft.
            if !silent && !self.refuses(&decoded) {
                let mut rest = ids.as_slice();
                let words = cut(&self.shared.tokenizer, &ids, self.language.unwrap_or("en"))?;
                let words = words.into_iter().map(|(text, count)| {
                    let (own, next) = rest.split_at(count);
                    rest = next;
                    (text, own.to_vec())
                });
                live.agree(words.collect());
            }
            let all: Vec<u32> = live.words.iter().flat_map(|w| &w.1).copied().collect();
            let committed = self.shared.tokenizer.decode(&live.committed, true)?;
            let all = self.shared.tokenizer.decode(&all, true)?;
            let text = all.strip_prefix(&committed).unwrap_or_default().to_owned();
            self.ready.push_back(TranscribeStep::Partial(Partial { start, end, committed, text }));
            return Ok(());
        }
        let cut = live.hearing == Hearing::Cut;
        let mut next = (!cut).then_some(end);
        if !silent && !ids.is_empty() {
            let mut segments = [self.segment(&decoded, &ids, start, end)?];
            if cut || self.options.timestamps == Timestamps::Word {
                let clock = self.now();
                self.add_words(&mut segments, start, frame(end - start), cross).await?;
                self.stats.align_ms += self.now() - clock;
            }
            let [mut segment] = segments;
            if cut {
                next = self.keep_whole_words(&mut segment, start, end)?;
            }
            if self.options.timestamps != Timestamps::Word {
                segment.words = None;
            }
            if !segment.text.trim().is_empty() {
                self.keep_context(&segment.tokens, &decoded);
                self.give(segment);
            }
        }
        let next = next.unwrap_or(end);
        self.window.advance(frame(next).saturating_sub(self.window.seek()));
        // After a cut the speaker goes on; so he may have done where more sound had come than could be heard at once.
        let ended = live.end;
        live.restart(cut.then_some(next));
        live.end = ended.filter(|_| cut);
        Ok(())
    }

    /// Cuts running speech at its quietest moment since `start`, but not too soon: leaves the words after it for the next
    /// hearing, which begins there. Gives the second of the cut, if there are words before it.
    fn keep_whole_words(&self, segment: &mut Segment, start: f64, end: f64) -> Result<Option<f64>> {
        let words = segment.words.take().unwrap_or_default();
        let earliest = start + EARLIEST_CUT * (end - start);
        let quiet = self.window.quietest(frame(earliest), frame(end - CUT_MARGIN));
        let cut = quiet.map_or(end - CUT_MARGIN, |frame| frame as f64 / FRAMES_PER_SECOND);
        let kept: Vec<_> = words.into_iter().take_while(|w| (w.start + w.end) / 2.0 < cut).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let text: String = kept.iter().map(|w| w.text.as_str()).collect();
        let mut count = 0;
        while count < segment.tokens.len()
            && self.shared.tokenizer.decode(&segment.tokens[..count], true)?.len() < text.len()
        {
            count += 1;
        }
        segment.tokens.truncate(count);
        (segment.text, segment.end, segment.words) = (text, cut, Some(kept));
        Ok(Some(cut))
    }
}
