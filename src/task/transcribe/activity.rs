//! Voice activity: where speech begins and ends in live sound, by Silero's detector or by loudness.

use crate::{
    audio::SAMPLE_RATE,
    error::Result,
    models::silero::{SileroState, SileroVad},
};
use std::sync::Arc;

/// Samples that are judged at a time.
const CHUNK: usize = SileroVad::CHUNK;
/// Speech goes on until the probability falls this far below the threshold, as in Silero's own iterator.
const HYSTERESIS: f32 = 0.15;

/// Samples of speech without a break that begin speech: less is a click.
const LEAST: u64 = 1600;

/// What hearing a little more sound has brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Heard {
    /// There is no whole chunk of new sound.
    Nothing,
    /// Speech, or none, as before.
    Same,
    /// Speech began at this sample.
    Start(u64),
    /// Speech ended at this sample, a pause ago.
    End(u64),
}

/// How likely a chunk is speech.
enum Detector {
    Silero(Arc<SileroVad>, Box<SileroState>),
    Loudness(Loudness),
}

/// Listens for speech. It holds only what it has not heard yet.
pub(super) struct Activity {
    detector: Detector,
    pending: Vec<f32>,
    heard: u64,
    threshold: f32,
    /// Samples of quiet that end speech.
    pause: u64,
    speaking: bool,
    /// The sample since which it has sounded like speech, while nobody is known to speak.
    loud_since: Option<u64>,
    quiet_since: Option<u64>,
}

impl Activity {
    pub fn new(silero: Option<Arc<SileroVad>>, threshold: f32, pause: f64) -> Result<Self> {
        let detector = match silero {
            Some(model) => {
                let state = Box::new(model.start()?);
                Detector::Silero(model, state)
            }
            None => Detector::Loudness(Loudness::default()),
        };
        let pause = (pause * f64::from(SAMPLE_RATE)) as u64;
        let (pending, heard, speaking) = (Vec::new(), 0, false);
        Ok(Self { detector, pending, heard, threshold, pause, speaking, loud_since: None, quiet_since: None })
    }

    pub fn push(&mut self, samples: &[f32]) {
        self.pending.extend_from_slice(samples);
    }
    /// Samples heard so far.
    pub fn heard(&self) -> u64 {
        self.heard
    }
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }
    /// Hears up to `chunks` more chunks, but not beyond a beginning or an end; of the last sound (`finished`) a part of
    /// a chunk too.
    pub fn hear(&mut self, chunks: usize, finished: bool) -> Result<Heard> {
        let (mut at, mut result) = (0, Heard::Nothing);
        for _ in 0..chunks {
            let rest = &self.pending[at..];
            let len = rest.len().min(CHUNK);
            if len == 0 || len < CHUNK && !finished {
                break;
            }
            let mut chunk = [0.0; CHUNK];
            chunk[..len].copy_from_slice(&rest[..len]);
            let probability = match &mut self.detector {
                Detector::Silero(model, state) => model.hear(&chunk, state)?,
                Detector::Loudness(loudness) => loudness.hear(&chunk),
            };
            at += len;
            result = self.judge(probability, len as u64);
            if result != Heard::Same {
                break;
            }
        }
        self.pending.drain(..at);
        Ok(result)
    }

    fn judge(&mut self, probability: f32, len: u64) -> Heard {
        let begin = self.heard;
        self.heard += len;
        if probability >= self.threshold {
            self.quiet_since = None;
            let since = *self.loud_since.get_or_insert(begin);
            if !self.speaking && self.heard - since >= LEAST {
                self.speaking = true;
                return Heard::Start(since);
            }
            return Heard::Same;
        }
        self.loud_since = None;
        if self.speaking && probability < self.threshold - HYSTERESIS {
            let since = *self.quiet_since.get_or_insert(begin);
            if self.heard - since >= self.pause {
                (self.speaking, self.quiet_since) = (false, None);
                return Heard::End(since);
            }
        }
        Heard::Same
    }
}

/// Takes for speech what is clearly louder than the quietest sound lately.
struct Loudness {
    /// The level of the background in decibels below full scale.
    background: f32,
}

impl Default for Loudness {
    fn default() -> Self {
        // A loud room, until something is quieter: neither is its noise taken for speech, nor speech at once for noise.
        Self { background: -40.0 }
    }
}

impl Loudness {
    /// Decibels above the background at which sound is as likely speech as not.
    const ABOVE: f32 = 10.0;
    /// Nothing below this is speech.
    const QUIET: f32 = -50.0;
    /// Decibels a chunk by which the background is believed to rise while nothing is quieter: 1 in a second. Pauses
    /// between words bring it down again.
    const RISE: f32 = 0.032;
    /// Decibels that change the odds by a factor of e.
    const SOFT: f32 = 2.0;

    fn hear(&mut self, chunk: &[f32]) -> f32 {
        let power = chunk.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / chunk.len() as f64;
        let level = (10.0 * power.max(1e-12).log10()) as f32;
        self.background = level.min(self.background + Self::RISE).max(-90.0);
        let over = level - (self.background + Self::ABOVE).max(Self::QUIET);
        1.0 / (1.0 + (-over / Self::SOFT).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise at a level, in decibels.
    fn noise(seconds: f64, level: f32, rng: &mut crate::text::Rng) -> Vec<f32> {
        let amplitude = 10f32.powf(level / 20.0) * 3f32.sqrt();
        (0..(seconds * 16e3) as usize).map(|_| (rng.next_f64() as f32 * 2.0 - 1.0) * amplitude).collect()
    }

    #[test]
    fn loud_is_speech_and_quiet_is_not() {
        let mut rng = crate::text::Rng::new(3);
        let mut activity = Activity::new(None, 0.5, 0.5).unwrap();
        let mut events = Vec::new();
        // A click, and two utterances over a steady background, with a pause inside the first that is too short to end it.
        for (seconds, level) in [
            (1.0, -45.0),
            (0.05, -10.0),
            (1.95, -45.0),
            (1.0, -20.0),
            (0.3, -45.0),
            (1.0, -20.0),
            (2.0, -45.0),
            (1.0, -25.0),
        ] {
            for part in noise(seconds, level, &mut rng).chunks(700) {
                activity.push(part);
                loop {
                    match activity.hear(8, false).unwrap() {
                        Heard::Nothing => break,
                        Heard::Same => {}
                        event => events.push(event),
                    }
                }
                assert!(activity.pending.len() < CHUNK);
            }
        }
        let seconds = |at: u64| at as f64 / 16e3;
        let [Heard::Start(a), Heard::End(b), Heard::Start(c)] = events[..] else { panic!("{events:?}") };
        for (got, wanted) in [(a, 3.0), (b, 5.3), (c, 7.3)] {
            assert!((seconds(got) - wanted).abs() < 0.05, "{} instead of {wanted}", seconds(got));
        }
        assert!(activity.is_speaking());
        activity.push(&[0.0; 100]);
        assert_eq!(activity.hear(9, false).unwrap(), Heard::Nothing);
        assert_eq!(activity.hear(9, true).unwrap(), Heard::Same);
        assert_eq!(activity.heard(), (8.3 * 16e3) as u64 + 100);
    }
}
