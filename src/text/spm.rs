//! SentencePiece's byte-pair kind (Kudo and Richardson 2018): neighbours whose joined text is a token are joined,
//! the highest score first; characters that are no token fall back to their bytes.

use super::{
    merge::merge,
    vocab::{TokenKind, Vocab},
};
use crate::{
    error::{Error, Result},
    format::Metadata,
};
use std::cmp::Ordering;

/// How SentencePiece writes a space.
pub(super) const SPACE: &str = "\u{2581}";

/// A score that sorts as a number, whatever the file says.
#[derive(Clone, Copy)]
struct Score(f32);
impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Score {}

/// The byte that a token text such as `<0x0A>` stands for.
pub(super) fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// SentencePiece encoder.
pub(super) struct Spm {
    scores: Vec<f32>,
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
    /// A space is put before the text, and after every special token, and taken away when decoding.
    pub add_space_prefix: bool,
}

impl Spm {
    /// Reads `tokenizer.ggml.scores`, `.add_space_prefix` and `.unknown_token_id`.
    pub fn from_gguf(metadata: &Metadata, vocab: &Vocab) -> Result<Self> {
        let scores = metadata
            .f32s("tokenizer.ggml.scores")
            .ok_or_else(|| Error::format("GGUF metadata", "tokenizer.ggml.scores is missing or no array of f32"))?;
        if scores.len() != vocab.len() {
            let (a, b) = (scores.len(), vocab.len());
            return Err(Error::format("GGUF metadata", format!("{a} tokenizer.ggml.scores for {b} tokens")));
        }
        Ok(Self {
            scores: scores.to_vec(),
            bytes: (0..=255u8).map(|b| vocab.id(&format!("<0x{b:02X}>"))).collect(),
            unknown: super::tokenizer::metadata_id(metadata, "unknown", vocab.len())?,
            add_space_prefix: metadata.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true),
        })
    }

    /// Appends the tokens of a text without special tokens; `after_special` when it begins the input or follows one.
    pub fn encode(&self, vocab: &Vocab, text: &str, after_special: bool, out: &mut Vec<u32>) -> Result<()> {
        let mut written = String::with_capacity(text.len() + SPACE.len());
        if after_special && self.add_space_prefix {
            written.push_str(SPACE);
        }
        text.split(' ').enumerate().for_each(|(i, part)| {
            written.push_str(if i > 0 { SPACE } else { "" });
            written.push_str(part);
        });

        // A symbol is the range of bytes it covers, and its token if it has one.
        let symbols = written.char_indices().map(|(at, c)| (at, at + c.len_utf8(), None));
        let join = |l: (usize, usize, Option<u32>), r: (usize, usize, Option<u32>)| {
            let id = vocab.id(&written[l.0..r.1])?;
            Some((Score(self.scores[id as usize]), (l.0, r.1, Some(id))))
        };
        let mut missing = None;
        merge(symbols, join, |(start, end, id)| {
            let text = &written[start..end];
            if let Some(id) = id.or_else(|| vocab.id(text)) {
                return out.push(id);
            }
            match text.bytes().map(|b| self.bytes[usize::from(b)]).collect::<Option<Vec<u32>>>() {
                Some(ids) => out.extend(ids),
                None => match self.unknown {
                    Some(id) => out.push(id),
                    None => missing = Some(text.to_owned()),
                },
            }
        });
        match missing {
            Some(text) => Err(Error::Text(format!("{text:?} is not in the vocabulary, which has no unknown token"))),
            None => Ok(()),
        }
    }

    /// Appends the bytes of a token.
    pub fn piece(&self, vocab: &Vocab, id: u32, out: &mut Vec<u8>) {
        push_bytes(vocab.text(id), vocab.kind(id), out);
    }
}

/// Appends the bytes that a token's text stands for.
pub(super) fn push_bytes(text: &str, kind: TokenKind, out: &mut Vec<u8>) {
    match kind {
        TokenKind::Byte if byte_of(text).is_some() => out.extend(byte_of(text)),
        TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => out.extend(text.replace(SPACE, " ").bytes()),
        TokenKind::Control | TokenKind::UserDefined | TokenKind::Unknown => out.extend_from_slice(text.as_bytes()),
    }
}
