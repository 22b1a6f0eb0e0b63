//! The 30 seconds of sound that the model hears at a time, sliding over a sound of any length.

use crate::{
    audio::{FRAME_STEP, LogMel, SAMPLE_RATE},
    device::Device,
    error::Result,
    tensor::Tensor,
};

/// Mel frames a second.
pub(super) const FRAMES_PER_SECOND: f64 = SAMPLE_RATE as f64 / FRAME_STEP as f64;
/// The logarithm of a silent frame's power.
const SILENT: f32 = -10.0;
/// Power below the loudest by more than this (8 decades) counts as this.
const RANGE: f32 = 8.0;
/// Frames over which quiet is looked for: a breath.
const MOMENT: usize = 15;

/// Frames from where the window begins; earlier ones are forgotten.
pub(super) struct Sliding {
    mel: LogMel,
    /// Logarithms of power of the frames from `seek` on.
    frames: Vec<f32>,
    seek: usize,
    size: usize,
    /// The loudest of all frames that any window has had.
    loudest: f32,
    /// Frames that `loudest` knows.
    heard: usize,
    finished: bool,
    /// The window ends at this frame, whatever follows.
    end: Option<usize>,
}

impl Sliding {
    pub fn new(bins: usize, size: usize) -> Result<Self> {
        let mel = LogMel::new(bins)?;
        let (frames, loudest) = (Vec::new(), f32::NEG_INFINITY);
        Ok(Self { mel, frames, seek: 0, size, loudest, heard: 0, finished: false, end: None })
    }

    pub fn push(&mut self, samples: &[f32]) {
        self.mel.push(samples, &mut self.frames);
    }
    pub fn finish(&mut self) {
        if !self.finished {
            self.mel.finish(&mut self.frames);
            self.finished = true;
        }
    }
    pub fn is_finished(&self) -> bool {
        self.finished
    }
    /// Length of the sound so far, in seconds.
    pub fn seconds(&self) -> f64 {
        self.mel.samples() as f64 / f64::from(SAMPLE_RATE)
    }
    /// The frame at which the window begins.
    pub fn seek(&self) -> usize {
        self.seek
    }
    /// Most frames of a window.
    pub fn size(&self) -> usize {
        self.size
    }
    /// Lets the window end at a frame, or take in all that there is.
    pub fn limit(&mut self, end: Option<usize>) {
        self.end = end;
    }
    /// Are all frames of the window here?
    pub fn is_ready(&self) -> bool {
        self.finished || self.frames.len() / self.mel.bins() >= self.size
    }
    /// Frames of sound in the window.
    pub fn len(&self) -> usize {
        let total = (self.mel.samples() / FRAME_STEP as u64) as usize;
        let here = (self.frames.len() / self.mel.bins()).min(self.size);
        let here = if self.finished { total.saturating_sub(self.seek).min(here) } else { here };
        self.end.map_or(here, |end| end.saturating_sub(self.seek).min(here))
    }
    /// The quietest moment between two frames of the sound: the middle of the quietest [`MOMENT`] frames there.
    pub fn quietest(&self, from: usize, to: usize) -> Option<usize> {
        let loudness = |frame: &[f32]| frame.iter().map(|&power| 10f32.powf(power)).sum::<f32>();
        let first = from.saturating_sub(self.seek);
        let len = to.saturating_sub(self.seek).saturating_sub(first);
        let frames = self.frames.chunks_exact(self.mel.bins()).skip(first).take(len);
        let loudness: Vec<f32> = frames.map(loudness).collect();
        let sums = loudness.windows(MOMENT).map(|w| w.iter().sum::<f32>()).enumerate();
        let (at, _) = sums.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(self.seek + first + at + MOMENT / 2)
    }
    /// Moves the window on.
    pub fn advance(&mut self, frames: usize) {
        self.seek += frames;
        let gone = (frames * self.mel.bins()).min(self.frames.len());
        self.frames.drain(..gone);
        // What a large push needed is not kept.
        if self.frames.capacity() > 4 * self.size * self.mel.bins() {
            self.frames.shrink_to(2 * self.size * self.mel.bins());
        }
    }

    /// The window as the model hears it, `[size, bins]` (`size` is the window's, or less but not less than its length): limited downwards by the loudest frame so far, and scaled. (OpenAI's
    /// implementation takes the loudest of the whole sound, which a stream does not know.)
    ///
    /// After the end of the sound come zeros, as in OpenAI's implementation, on which its timestamps depend; or silence, as in
    /// transformers' plain transcription without timestamps, which differs from it by a comma now and then.
    pub fn tensor(&mut self, device: &Device, size: usize, silence: bool) -> Result<Tensor> {
        let bins = self.mel.bins();
        let frames = &self.frames[..self.frames.len().min(size * bins)];
        let known = self.heard.saturating_sub(self.seek) * bins;
        if let Some(new) = frames.get(known..) {
            self.loudest = new.iter().copied().fold(self.loudest, f32::max);
        }
        self.heard = self.heard.max(self.seek + frames.len() / bins);
        let floor = self.loudest.max(SILENT) - RANGE;
        let scaled = |power: f32| (power.max(floor) + 4.0) / 4.0;
        let mut values = vec![if silence { scaled(SILENT) } else { 0.0 }; size * bins];
        let sound = frames.iter().take(self.len() * bins);
        values.iter_mut().zip(sound).for_each(|(o, &v)| *o = scaled(v));
        Tensor::from_slice(&values, [size, bins], device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_slide_and_forget() {
        let mut window = Sliding::new(80, 3000).unwrap();
        let second = vec![0.01; 16_000];
        let mut most = 0;
        for _ in 0..100 {
            window.push(&second);
            while window.is_ready() {
                assert_eq!(window.len(), 3000);
                window.advance(2900);
            }
            most = most.max(window.frames.capacity());
        }
        assert!(most < 2 * 3200 * 80, "{most}");
        window.finish();
        assert!(window.is_ready());
        assert_eq!((window.seek() + window.len(), window.seconds()), (10_000, 100.0));
        let rest = window.len();
        assert_eq!(window.tensor(&Device::cpu(), 3000, false).unwrap().dims(), [3000, 80]);
        window.limit(Some(window.seek() + 7));
        assert_eq!(window.len(), 7);
        window.limit(None);
        // A pause from 0.5 to 0.7 seconds in steady sound.
        let mut paused = Sliding::new(80, 3000).unwrap();
        let noise: Vec<f32> = (0..16_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 * 1e-6).collect();
        paused.push(&[&noise[..8000], &[0.0; 3200], &noise].concat());
        let at = paused.quietest(10, 100).unwrap();
        assert!((55..66).contains(&at), "{at}");
        assert_eq!(paused.quietest(50, 55), None);
        window.advance(rest);
        assert_eq!(window.len(), 0);
    }
}
