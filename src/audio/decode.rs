//! Audio files by the crate `symphonia`, decoded a packet at a time.

use super::Resampler;
use crate::error::{Error, Result};
use std::{fs::File, io::ErrorKind, path::Path};
use symphonia::{
    core::{
        audio::SampleBuffer,
        codecs::{CODEC_TYPE_NULL, CODEC_TYPE_OPUS, CodecParameters, Decoder, DecoderOptions},
        errors::Error as Symphonia,
        formats::{FormatOptions, FormatReader},
        io::{MediaSource, MediaSourceStream},
        meta::MetadataOptions,
        probe::Hint,
    },
    default::{get_codecs, get_probe},
};

/// An audio file being decoded to mono samples at 16 kHz: WAV, AIFF, FLAC, MP3, OGG Vorbis, M4A (AAC, ALAC), Matroska.
///
/// What it holds is a packet and the resampler's chunk, however long the file is.
pub struct AudioFile {
    name: String,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn Decoder>,
    track: u32,
    resampler: Option<Resampler>,
    rate: u32,
    /// Sample frames in the file, as far as it says.
    frames: Option<u64>,
    packets: u64,
    over: bool,
    mono: Vec<f32>,
}

impl AudioFile {
    /// Opens a file and reads its head.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`AudioFile::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let io = |source| Error::Io { path: name.clone(), source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.is_dir() {
            return Err(io(ErrorKind::IsADirectory.into()));
        }
        Self::read(Box::new(file), &name)
    }

    /// Begins to decode `source`; the end of `name` (`.mp3`) is a hint at what it is, its first bytes decide.
    ///
    /// # Errors
    /// [`Error::Format`] for what is no audio file, [`Error::Unsupported`] for codecs that are not known.
    pub fn read(source: Box<dyn MediaSource>, name: &str) -> Result<Self> {
        let mut hint = Hint::new();
        if let Some(extension) = Path::new(name).extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(source, Default::default());
        let options = FormatOptions { enable_gapless: true, ..Default::default() };
        let probed = get_probe().format(&hint, stream, &options, &MetadataOptions::default());
        let reader = probed.map_err(|e| not_audio(name, &e))?.format;
        let known = |p: &CodecParameters| p.codec != CODEC_TYPE_NULL && p.sample_rate.is_some();
        let tracks = reader.tracks();
        let track = tracks.iter().find(|t| known(&t.codec_params)).or(tracks.first());
        let track = track.ok_or_else(|| Error::format(name, "holds no sound"))?;
        let (id, parameters) = (track.id, track.codec_params.clone());
        let decoder =
            get_codecs().make(&parameters, &DecoderOptions::default()).map_err(|e| match parameters.codec {
                CODEC_TYPE_OPUS => {
                    Error::Unsupported(format!("{name}: the Opus codec; convert the file to WAV or FLAC"))
                }
                _ => Error::Unsupported(format!("{name}: {e}")),
            })?;
        let (rate, frames) = (parameters.sample_rate.unwrap_or(0), parameters.n_frames);
        let (resampler, packets, over) = (None, 0, false);
        Ok(Self {
            name: name.into(),
            reader,
            decoder,
            track: id,
            resampler,
            rate,
            frames,
            packets,
            over,
            mono: Vec::new(),
        })
    }

    /// The length in seconds, if the file says it.
    pub fn seconds(&self) -> Option<f64> {
        (self.rate > 0).then_some(self.frames? as f64 / f64::from(self.rate))
    }

    /// Appends the next samples to `out`; `false` when there were none left.
    ///
    /// # Errors
    /// [`Error::Format`] when the file is damaged beyond a packet here and there, which are left out.
    pub fn next(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        if self.over {
            return Ok(false);
        }
        loop {
            let packet = match self.reader.next_packet() {
                Ok(packet) if packet.track_id() != self.track => continue,
                Ok(packet) => packet,
                Err(Symphonia::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => return self.finish(out),
                // A stream of other parameters follows: chained OGG files.
                Err(Symphonia::ResetRequired) => return self.finish(out),
                Err(e) => return Err(damaged(&self.name, &e)),
            };
            let decoded = match self.decoder.decode(&packet) {
                Ok(decoded) => decoded,
                Err(Symphonia::DecodeError(_)) => continue,
                Err(Symphonia::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => continue,
                Err(e) => return Err(damaged(&self.name, &e)),
            };
            if decoded.frames() == 0 {
                continue;
            }
            self.packets += 1;
            let spec = *decoded.spec();
            let mut samples = SampleBuffer::<f32>::new(decoded.capacity() as u64, spec);
            samples.copy_interleaved_ref(decoded);
            let channels = spec.channels.count().max(1);
            self.mono.clear();
            // Damaged floats must not spoil everything after them.
            let clean = |s: f32| if s.is_finite() { s.clamp(-8.0, 8.0) } else { 0.0 };
            let mean = |frame: &[f32]| frame.iter().map(|&s| clean(s)).sum::<f32>() / channels as f32;
            self.mono.extend(samples.samples().chunks_exact(channels).map(mean));
            let resampler = match &mut self.resampler {
                Some(resampler) if self.rate == spec.rate => resampler,
                slot => {
                    if let Some(mut old) = slot.take() {
                        old.finish(out)?;
                    }
                    self.rate = spec.rate;
                    slot.insert(Resampler::new(spec.rate)?)
                }
            };
            resampler.push(&self.mono, out)?;
            return Ok(true);
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        self.over = true;
        if self.packets == 0 && self.frames != Some(0) {
            return Err(Error::format(&self.name, "no sound could be decoded: it is empty, damaged or cut short"));
        }
        let before = out.len();
        if let Some(resampler) = &mut self.resampler {
            resampler.finish(out)?;
        }
        Ok(out.len() > before)
    }
}

fn not_audio(name: &str, error: &Symphonia) -> Error {
    Error::format(name, format!("is no audio file that can be read (WAV, FLAC, MP3, OGG Vorbis, M4A can): {error}"))
}

fn damaged(name: &str, error: &Symphonia) -> Error {
    Error::format(name, format!("is damaged: {error}"))
}
