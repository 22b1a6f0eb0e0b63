//! From a file's sample rate to the one that a model hears.

use super::SAMPLE_RATE;
use crate::error::{Error, Result};
use rubato::{FftFixedIn, Resampler as _};

/// Fewest samples given to the resampler at once.
const CHUNK: usize = 4096;
/// What recordings are made at, and some room.
const RATES: std::ops::RangeInclusive<u32> = 1000..=768_000;

/// Resamples mono sound to 16 kHz as it comes, by Fourier transforms of overlapping chunks (the crate `rubato`). The delay of
/// its filter is taken off the beginning, so that times stay true.
pub struct Resampler {
    inner: Option<FftFixedIn<f32>>,
    held: Vec<f32>,
    /// Results still to be dropped: the filter's delay.
    skip: usize,
    rate: u32,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// From `rate` samples a second.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for rates outside 1,000 to 768,000.
    pub fn new(rate: u32) -> Result<Self> {
        let fail = |why: String| Error::Unsupported(format!("a sample rate of {rate} Hz{why}"));
        if !RATES.contains(&rate) {
            return Err(fail(format!("; {} to {} can be resampled", RATES.start(), RATES.end())));
        }
        let inner = match rate {
            SAMPLE_RATE => None,
            _ => {
                // An even number of the smallest chunks that the rates allow: then the delay is a whole number of samples.
                let smallest = (rate / greatest_divisor(rate, SAMPLE_RATE)) as usize;
                let chunk = 2 * smallest * (CHUNK / 2).div_ceil(smallest);
                let made = FftFixedIn::new(rate as usize, SAMPLE_RATE as usize, chunk, 1, 1);
                Some(made.map_err(|e| fail(format!(": {e}")))?)
            }
        };
        let skip = inner.as_ref().map_or(0, |r| r.output_delay());
        Ok(Self { inner, held: Vec::new(), skip, rate, taken: 0, given: 0 })
    }

    /// Takes samples and appends what they complete at 16 kHz to `out`.
    ///
    /// # Errors
    /// [`Error::Format`] should the resampler refuse its input.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<()> {
        self.taken += samples.len() as u64;
        let Some(mut inner) = self.inner.take() else {
            self.given += samples.len() as u64;
            out.extend_from_slice(samples);
            return Ok(());
        };
        self.held.extend_from_slice(samples);
        let mut at = 0;
        let mut done = Ok(());
        while done.is_ok() && self.held.len() - at >= inner.input_frames_next() {
            let end = at + inner.input_frames_next();
            done = inner.process(&[&self.held[at..end]], None).map(|made| self.give(&made, u64::MAX, out));
            at = end;
        }
        self.held.drain(..at);
        self.inner = Some(inner);
        done.map_err(failed)
    }

    /// Appends what is left when the sound is over; all results together then have the sound's length.
    ///
    /// # Errors
    /// As [`Resampler::push`].
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<()> {
        let Some(mut inner) = self.inner.take() else { return Ok(()) };
        let total = (u128::from(self.taken) * u128::from(SAMPLE_RATE)).div_ceil(u128::from(self.rate)) as u64;
        let held = std::mem::take(&mut self.held);
        let mut made = inner.process_partial((!held.is_empty()).then_some(&[held][..]), None).map_err(failed)?;
        self.give(&made, total, out);
        // Zeros push what the filter has delayed out of it; each round gives some, unless nothing is wanted any more.
        while self.given < total && made.first().is_some_and(|m| !m.is_empty()) {
            made = inner.process_partial::<Vec<f32>>(None, None).map_err(failed)?;
            self.give(&made, total, out);
        }
        Ok(())
    }

    fn give(&mut self, made: &[Vec<f32>], total: u64, out: &mut Vec<f32>) {
        let Some(made) = made.first() else { return };
        let skipped = self.skip.min(made.len());
        self.skip -= skipped;
        let wanted = usize::try_from(total - self.given).unwrap_or(usize::MAX);
        let made = &made[skipped..];
        let made = &made[..made.len().min(wanted)];
        self.given += made.len() as u64;
        out.extend_from_slice(made);
    }
}

fn greatest_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

fn failed(error: rubato::ResampleError) -> Error {
    Error::format("audio", format!("resampling failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone of 440 Hz comes out as the same tone, in place and in length, whatever the rate and the pieces.
    #[test]
    fn tones_stay_what_and_where_they_are() {
        let tone = |rate: u32, i: usize| (std::f64::consts::TAU * 440.0 * i as f64 / f64::from(rate)).sin() as f32;
        for rate in [8_000, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let input: Vec<f32> = (0..rate as usize * 2 + 123).map(|i| tone(rate, i)).collect();
            let mut resampler = Resampler::new(rate).unwrap();
            let mut out = Vec::new();
            for part in input.chunks(777) {
                resampler.push(part, &mut out).unwrap();
            }
            resampler.finish(&mut out).unwrap();
            let expected = (input.len() as u64 * 16_000).div_ceil(u64::from(rate)) as usize;
            assert_eq!(out.len(), expected, "{rate} Hz");
            // The ends are cut tones: there the filter rings.
            let worst = (2000..30_000).map(|i| (out[i] - tone(16_000, i)).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{rate} Hz: off by {worst}");
        }
    }

    #[test]
    fn nothing_and_nonsense() {
        let mut out = Vec::new();
        let mut resampler = Resampler::new(44_100).unwrap();
        resampler.push(&[], &mut out).unwrap();
        resampler.finish(&mut out).unwrap();
        assert!(out.is_empty());
        assert!(Resampler::new(0).is_err() && Resampler::new(u32::MAX).is_err());
    }
}
