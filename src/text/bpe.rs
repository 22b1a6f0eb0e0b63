//! Byte-level byte-pair encoding (Sennrich et al. 2016; the byte alphabet of GPT-2), from GGUF metadata.

use super::{
    merge::merge,
    pretokenizer::{PreTokenizer, Preset},
    vocab::{TokenKind, Vocab},
};
use crate::{
    error::{Error, Result},
    format::Metadata,
};
use std::{
    cmp::Reverse,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Mixes the 64-bit key of a pair of ids; the standard hasher would take a third of the loading time.
#[derive(Default)]
pub(super) struct PairHasher(u64);
impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(b.into()));
    }
    fn write_u64(&mut self, key: u64) {
        let h = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = h ^ (h >> 29);
    }
}

/// Rank and result of joining two tokens, by `left << 32 | right`.
type Merges = HashMap<u64, (u32, u32), BuildHasherDefault<PairHasher>>;

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// The character by which GPT-2's alphabet writes a byte: printable Latin-1 stands for itself, the others follow
/// from U+0100 in order.
pub(crate) fn byte_to_char(byte: u8) -> char {
    let shifted = match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => return char::from(byte),
        0..=0x20 => u32::from(byte),
        0x7f..=0xa0 => u32::from(byte) - 0x7f + 0x21,
        0xad => 0x43,
    };
    char::from_u32(0x100 + shifted).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character of GPT-2's alphabet stands for.
pub(super) fn char_to_byte(c: char) -> Option<u8> {
    match u32::from(c) {
        c @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(c as u8),
        c @ 0x100..=0x120 => Some((c - 0x100) as u8),
        c @ 0x121..=0x142 => Some((c - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// Appends the bytes that a token's text in GPT-2's alphabet stands for; a text with any other character stands for
/// itself.
pub(super) fn push_bytes(text: &str, out: &mut Vec<u8>) {
    let before = out.len();
    for c in text.chars() {
        let Some(byte) = char_to_byte(c) else {
            out.truncate(before);
            return out.extend_from_slice(text.as_bytes());
        };
        out.push(byte);
    }
}

/// Byte-pair encoder.
pub(super) struct Bpe {
    words: PreTokenizer,
    whole_words: bool,
    merges: Merges,
    /// The token of each single byte; vocabularies exist that lack some.
    bytes: Vec<Option<u32>>,
}

impl Bpe {
    /// Reads `tokenizer.ggml.merges`.
    pub fn from_gguf(metadata: &Metadata, vocab: &Vocab, preset: &Preset) -> Result<Self> {
        let lines = metadata
            .strings("tokenizer.ggml.merges")
            .ok_or_else(|| Error::format("GGUF metadata", "tokenizer.ggml.merges is missing or no array of strings"))?;
        let mut merges = Merges::with_capacity_and_hasher(lines.len(), Default::default());
        let mut joined = String::new();
        for (rank, line) in lines.iter().enumerate() {
            let bad =
                |why: &str| Error::format("GGUF metadata", format!("tokenizer.ggml.merges[{rank}] {line:?}: {why}"));
            let (left, right) = line.split_once(' ').ok_or_else(|| bad("no space between two tokens"))?;
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            let id = |text: &str| vocab.id(text).ok_or_else(|| bad(&format!("{text:?} is not in the vocabulary")));
            merges.entry(key(id(left)?, id(right)?)).or_insert((rank as u32, id(&joined)?));
        }
        let bytes = (0..=255).map(|b| vocab.id(byte_to_char(b).encode_utf8(&mut [0; 4]))).collect();
        Ok(Self { words: PreTokenizer::new(preset.expressions)?, whole_words: preset.whole_words, merges, bytes })
    }

    /// Appends the tokens of a text without special tokens. Bytes that the vocabulary lacks are left out, as the
    /// reference implementations do.
    pub fn encode(&self, vocab: &Vocab, text: &str, out: &mut Vec<u32>) -> Result<()> {
        let mut written = String::new();
        self.words.words(text, &mut |word| {
            if self.whole_words {
                written.clear();
                written.extend(word.bytes().map(byte_to_char));
                if let Some(id) = vocab.id(&written) {
                    out.push(id);
                    return Ok(());
                }
            }
            let join = |l, r| self.merges.get(&key(l, r)).map(|&(rank, id)| (Reverse(rank), id));
            merge(word.bytes().filter_map(|b| self.bytes[usize::from(b)]), join, |id| out.push(id));
            Ok(())
        })
    }

    /// Appends the bytes of a token.
    pub fn piece(&self, vocab: &Vocab, id: u32, out: &mut Vec<u8>) {
        match vocab.kind(id) {
            TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => push_bytes(vocab.text(id), out),
            TokenKind::Control | TokenKind::UserDefined | TokenKind::Unknown => {
                out.extend_from_slice(vocab.text(id).as_bytes());
            }
        }
    }
}
