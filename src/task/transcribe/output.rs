//! Transcripts as files: plain text, subtitles, JSON.

use super::segment::{Segment, Word};
use crate::error::{Error, Result};
use serde_json::json;
use std::{fmt::Write as _, str::FromStr};

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscriptFormat {
    /// A line for each segment.
    Txt,
    /// SubRip subtitles; one for each word if there are words.
    Srt,
    /// WebVTT subtitles, with the times of words inside if there are words.
    Vtt,
    /// One object with all that is known.
    Json,
}

impl FromStr for TranscriptFormat {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "txt" | "text" => Ok(Self::Txt),
            "srt" => Ok(Self::Srt),
            "vtt" | "webvtt" => Ok(Self::Vtt),
            "json" => Ok(Self::Json),
            _ => Err(Error::argument("format", format!("{name:?}; txt, srt, vtt and json are possible"))),
        }
    }
}

/// Writes a transcript segment by segment: join what [`TranscriptWriter::segment`] and at the end
/// [`TranscriptWriter::finish`] give.
///
/// ```
/// use votive::task::{Segment, TranscriptFormat, TranscriptWriter};
///
/// let mut writer = TranscriptWriter::new(TranscriptFormat::Srt);
/// # let segment = Segment { id: 0, start: 0.0, end: 2.5, text: " Hello.".into(), tokens: vec![], words: None, temperature: 0.0,
/// #     average_log_probability: -0.1, compression_ratio: 1.0, no_speech_probability: 0.0 };
/// let file = writer.segment(&segment) + &writer.finish("en", 2.5);
/// assert_eq!(file, "1\n00:00:00,000 --> 00:00:02,500\nHello.\n\n");
/// ```
pub struct TranscriptWriter {
    format: TranscriptFormat,
    written: usize,
    text: String,
}

impl TranscriptWriter {
    /// Of a kind of file.
    pub fn new(format: TranscriptFormat) -> Self {
        Self { format, written: 0, text: String::new() }
    }

    /// The part of the file that a segment makes.
    pub fn segment(&mut self, segment: &Segment) -> String {
        let mut out = self.head();
        match self.format {
            TranscriptFormat::Txt => {
                out += segment.text.trim();
                out.push('\n');
                self.written += 1;
            }
            TranscriptFormat::Srt => {
                let whole = [(segment.start, segment.end, segment.text.as_str())];
                let words = segment.words.as_deref().unwrap_or_default();
                let words = words.iter().map(|w| (w.start, w.end, w.text.as_str()));
                let cues: Vec<_> = if words.len() > 0 { words.collect() } else { whole.into() };
                for (start, end, text) in cues {
                    self.written += 1;
                    let (start, end) = (time(start, true, ','), time(end, true, ','));
                    // An arrow would end the text of a subtitle.
                    let text = text.trim().replace("-->", "->");
                    let _ = write!(out, "{}\n{start} --> {end}\n{text}\n\n", self.written);
                }
            }
            TranscriptFormat::Vtt => {
                self.written += 1;
                let (start, end) = (time(segment.start, false, '.'), time(segment.end, false, '.'));
                let text = match segment.words.as_deref() {
                    Some(words) if !words.is_empty() => vtt_words(words),
                    _ => vtt_text(segment.text.trim()),
                };
                let _ = write!(out, "{start} --> {end}\n{text}\n\n");
            }
            TranscriptFormat::Json => {
                if self.written > 0 {
                    out.push(',');
                }
                self.written += 1;
                self.text += &segment.text;
                let _ = write!(out, "\n{}", json!(segment));
            }
        }
        out
    }

    /// The end of the file. The writer is then as new.
    pub fn finish(&mut self, language: &str, duration: f64) -> String {
        let mut out = self.head();
        if self.format == TranscriptFormat::Json {
            let text = json!(self.text);
            let _ = writeln!(out, "\n],\"text\":{text},\"language\":{},\"duration\":{duration}}}", json!(language));
        }
        *self = Self::new(self.format);
        out
    }

    fn head(&self) -> String {
        match self.format {
            TranscriptFormat::Vtt if self.written == 0 => "WEBVTT\n\n".into(),
            TranscriptFormat::Json if self.written == 0 => "{\"segments\":[".into(),
            _ => String::new(),
        }
    }
}

/// `00:01:02,345`; hours only if there are any, or `hours` says so.
fn time(seconds: f64, hours: bool, separator: char) -> String {
    let total = (seconds.max(0.0) * 1000.0).round() as u64;
    let (h, m, s, ms) = (total / 3_600_000, total / 60_000 % 60, total / 1000 % 60, total % 1000);
    if hours || h > 0 {
        format!("{h:02}:{m:02}:{s:02}{separator}{ms:03}")
    } else {
        format!("{m:02}:{s:02}{separator}{ms:03}")
    }
}

fn vtt_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Words with the time at which each begins; players show them as they are said.
fn vtt_words(words: &[Word]) -> String {
    let mut out = String::new();
    for (i, word) in words.iter().enumerate() {
        let text = vtt_text(if i == 0 { word.text.trim_start() } else { &word.text });
        if i == 0 {
            out += &text;
        } else {
            let _ = write!(out, "<{}><c>{text}</c>", time(word.start, false, '.'));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(words: bool) -> Segment {
        let word = |text: &str, start, end| Word { text: text.into(), start, end, probability: 0.5 };
        Segment {
            id: 0,
            start: 3599.5,
            end: 3602.0,
            text: " A <b> & \"c\" -->".into(),
            tokens: vec![1],
            words: words.then(|| vec![word(" A", 3599.5, 3600.0), word(" <b>", 3600.0, 3600.25)]),
            temperature: 0.0,
            average_log_probability: -0.5,
            compression_ratio: 1.5,
            no_speech_probability: f64::NAN,
        }
    }

    fn file(format: &str, words: bool) -> String {
        let mut writer = TranscriptWriter::new(format.parse().unwrap());
        writer.segment(&segment(words)) + &writer.segment(&segment(words)) + &writer.finish("en", 4000.0)
    }

    #[test]
    fn files_are_as_players_read_them() {
        assert_eq!(file("txt", true), "A <b> & \"c\" -->\nA <b> & \"c\" -->\n");
        let srt = file("srt", false);
        assert!(srt.starts_with("1\n00:59:59,500 --> 01:00:02,000\nA <b> & \"c\" ->\n\n2\n"), "{srt}");
        let srt = file("srt", true);
        assert!(
            srt.starts_with("1\n00:59:59,500 --> 01:00:00,000\nA\n\n2\n01:00:00,000 -->") && srt.contains("\n4\n"),
            "{srt}"
        );
        let vtt = file("vtt", false);
        assert!(
            vtt.starts_with("WEBVTT\n\n59:59.500 --> 01:00:02.000\nA &lt;b&gt; &amp; \"c\" --&gt;\n\n59:"),
            "{vtt}"
        );
        let vtt = file("vtt", true);
        assert!(vtt.contains("\nA<01:00:00.000><c> &lt;b&gt;</c>\n"), "{vtt}");
        let json: serde_json::Value = serde_json::from_str(&file("json", true)).unwrap();
        assert_eq!((&json["language"], json["segments"].as_array().unwrap().len()), (&"en".into(), 2));
        assert_eq!(json["segments"][1]["words"][1]["text"], " <b>");
        assert_eq!(json["segments"][0]["noSpeechProbability"], serde_json::Value::Null);
    }

    #[test]
    fn nothing_is_a_file_too() {
        let empty = |format: &str| TranscriptWriter::new(format.parse().unwrap()).finish("", 0.0);
        assert_eq!((empty("txt").as_str(), empty("srt").as_str(), empty("vtt").as_str()), ("", "", "WEBVTT\n\n"));
        let json: serde_json::Value = serde_json::from_str(&empty("json")).unwrap();
        assert_eq!(json["segments"], json!([]));
        assert!("doc".parse::<TranscriptFormat>().is_err());
    }
}
