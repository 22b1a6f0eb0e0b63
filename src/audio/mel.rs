//! Log-mel spectrograms as Whisper hears them, computed as samples come.
//!
//! Frames of 400 samples every 160, a periodic Hann window, the power spectrum, a bank of triangular filters on Slaney's mel
//! scale with equal area (Slaney 1998, as librosa computes it), and the decimal logarithm, at least -10.

use super::SAMPLE_RATE;
use crate::error::{Error, Result};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex32};
use std::sync::Arc;

/// Samples of one frame.
const FRAME: usize = 400;
/// Samples from one frame to the next: a hundredth of a second.
pub const FRAME_STEP: usize = 160;
/// Frequencies of a spectrum.
const BINS: usize = FRAME / 2 + 1;
/// Power below this counts as this.
const FLOOR: f32 = 1e-10;

/// Slaney's mel scale: linear below 1000 Hz, logarithmic above.
fn hz_to_mel(hz: f64) -> f64 {
    let linear = hz * 3.0 / 200.0;
    if hz < 1000.0 { linear } else { 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4f64.ln() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp() }
}

/// The filter bank as rows of `bins` filters over 201 frequencies from 0 to 8000 Hz.
pub fn mel_filters(bins: usize) -> Vec<f32> {
    let top = hz_to_mel(f64::from(SAMPLE_RATE) / 2.0);
    let corner = |i: usize| mel_to_hz(top * i as f64 / (bins + 1) as f64);
    let step = f64::from(SAMPLE_RATE) / FRAME as f64;
    let mut filters = Vec::with_capacity(bins * BINS);
    for bin in 0..bins {
        let (low, middle, high) = (corner(bin), corner(bin + 1), corner(bin + 2));
        filters.extend((0..BINS).map(|i| {
            let hz = i as f64 * step;
            let slope = ((hz - low) / (middle - low)).min((high - hz) / (high - middle)).max(0.0);
            (slope * 2.0 / (high - low)) as f32
        }));
    }
    filters
}

/// One filter: its first frequency, and the factors from there on.
struct Filter {
    first: usize,
    factors: Vec<f32>,
}

/// Makes log-mel frames of samples as they come. What it holds does not grow with the length of the sound.
///
/// Frame `i` is centred on sample `160 i`. Before the first sample the sound counts as mirrored, after the last as silent, as
/// in OpenAI's implementation.
///
/// ```
/// use votive::audio::LogMel;
///
/// let mut mel = LogMel::new(80)?;
/// let mut frames = Vec::new();
/// mel.push(&[0.0; 16_000], &mut frames);
/// mel.finish(&mut frames);
/// assert_eq!(frames.len(), 102 * 80);
/// # Ok::<(), votive::Error>(())
/// ```
pub struct LogMel {
    filters: Vec<Filter>,
    window: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    input: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// Samples that frames to come still need; the first of them is where the next frame begins.
    held: Vec<f32>,
    /// The mirrored beginning has been put before the first samples.
    started: bool,
    samples: u64,
    frames: u64,
}

impl LogMel {
    /// For so many mel bins: 80, or 128 for large-v3 and its descendants.
    ///
    /// # Errors
    /// [`Error::Argument`] for no bins or more than 512.
    pub fn new(bins: usize) -> Result<Self> {
        if !(1..=512).contains(&bins) {
            return Err(Error::argument("log_mel", format!("{bins} mel bins; 1 to 512 are possible")));
        }
        let filters = mel_filters(bins)
            .chunks_exact(BINS)
            .map(|row| {
                let first = row.iter().position(|&f| f > 0.0).unwrap_or(0);
                let last = row.iter().rposition(|&f| f > 0.0).map_or(first, |last| last + 1);
                Filter { first, factors: row[first..last].to_vec() }
            })
            .collect();
        let turn = std::f64::consts::TAU / FRAME as f64;
        let window = (0..FRAME).map(|i| (0.5 - 0.5 * (turn * i as f64).cos()) as f32).collect();
        let fft = RealFftPlanner::new().plan_fft_forward(FRAME);
        let (input, spectrum, scratch) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
        let (held, started) = (Vec::new(), false);
        Ok(Self { filters, window, fft, input, spectrum, scratch, held, started, samples: 0, frames: 0 })
    }

    /// Number of mel bins.
    pub fn bins(&self) -> usize {
        self.filters.len()
    }
    /// Samples heard so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Takes samples and appends the frames that they complete to `frames`, each as `bins` decimal logarithms of power.
    pub fn push(&mut self, samples: &[f32], frames: &mut Vec<f32>) {
        self.samples += samples.len() as u64;
        self.held.extend_from_slice(samples);
        if !self.started && self.held.len() > FRAME / 2 {
            self.start();
        }
        if self.started {
            self.emit(u64::MAX, frames);
        }
    }

    /// Appends the frames that wait for samples after the last one: all that a sample is part of. The sound is over then.
    pub fn finish(&mut self, frames: &mut Vec<f32>) {
        if self.samples == 0 {
            return;
        }
        let total = (self.samples + FRAME as u64 / 2).div_ceil(FRAME_STEP as u64);
        self.held.resize(self.held.len() + 2 * FRAME, 0.0);
        if !self.started {
            self.start();
        }
        self.emit(total, frames);
        self.held.clear();
    }

    fn start(&mut self) {
        let mirrored: Vec<f32> = self.held[1..=FRAME / 2].iter().rev().copied().collect();
        self.held.splice(0..0, mirrored);
        self.started = true;
    }

    /// Appends the frames that the held samples are enough for, until there have been `limit`.
    fn emit(&mut self, limit: u64, frames: &mut Vec<f32>) {
        let mut at = 0;
        while self.frames < limit && at + FRAME <= self.held.len() {
            self.frame(at, frames);
            at += FRAME_STEP;
            self.frames += 1;
        }
        self.held.drain(..at.min(self.held.len()));
    }

    fn frame(&mut self, at: usize, frames: &mut Vec<f32>) {
        let samples = &self.held[at..at + FRAME];
        for ((o, s), w) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *o = s * w;
        }
        // The buffers were made by the transform, so their lengths fit.
        let done = self.fft.process_with_scratch(&mut self.input, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());
        frames.extend(self.filters.iter().map(|filter| {
            let spectrum = &self.spectrum[filter.first..];
            let power: f32 = filter.factors.iter().zip(spectrum).map(|(f, c)| f * c.norm_sqr()).sum();
            power.max(FLOOR).log10()
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize) -> Vec<f32> {
        let mut rng = crate::text::Rng::new(7);
        (0..count).map(|_| rng.next_f64() as f32 - 0.5).collect()
    }

    fn all_at_once(samples: &[f32]) -> Vec<f32> {
        let (mut mel, mut frames) = (LogMel::new(80).unwrap(), Vec::new());
        mel.push(samples, &mut frames);
        mel.finish(&mut frames);
        frames
    }

    #[test]
    fn pieces_give_the_same_frames_and_hold_little() {
        let samples = noise(20_001);
        let whole = all_at_once(&samples);
        assert_eq!(whole.len(), 20_201usize.div_ceil(160) * 80);
        for piece in [1, 37, 160, 401, 7000] {
            let (mut mel, mut frames) = (LogMel::new(80).unwrap(), Vec::new());
            for part in samples.chunks(piece) {
                mel.push(part, &mut frames);
                assert!(mel.held.len() < FRAME + piece);
            }
            mel.finish(&mut frames);
            assert!(frames == whole, "pieces of {piece}");
        }
    }

    #[test]
    fn short_sounds_have_frames_too() {
        assert_eq!(all_at_once(&[]), [0.0; 0]);
        for count in [1, 159, 160, 161, 200, 201, 399] {
            assert_eq!(all_at_once(&noise(count)).len(), (count + 200).div_ceil(160) * 80, "{count} samples");
        }
        assert!(all_at_once(&[0.0; 500]).iter().all(|&v| v == -10.0));
    }

    #[test]
    fn bins_are_checked() {
        assert!(LogMel::new(0).is_err() && LogMel::new(513).is_err());
    }
}
