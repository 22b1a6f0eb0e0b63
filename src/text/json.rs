//! tokenizer.json files, read and run by the `tokenizers` crate.

use super::{bpe, spm, vocab::TokenKind};
use crate::error::{Error, Result};
use serde_json::Value;

/// What the decoder of a tokenizer.json does to the text of one token.
#[derive(Clone, Copy, PartialEq)]
enum Decoding {
    /// GPT-2's byte alphabet.
    ByteLevel,
    /// SentencePiece: `▁` is a space, `<0xNN>` a byte.
    SentencePiece,
    /// Depends on the neighbours (WordPiece and others).
    Joint,
}

/// A tokenizer.json.
pub(super) struct Json {
    inner: tokenizers::Tokenizer,
    decoding: Decoding,
    /// The decoder takes one space from the start of the text.
    pub strips_leading_space: bool,
}

fn text_error(what: &str) -> impl Fn(tokenizers::Error) -> Error + '_ {
    move |e| Error::Text(format!("{what}: {e}"))
}

/// Refuses what the `tokenizers` crate would panic on (found by fuzzing): broken JSON inside a decoder, and a
/// `Precompiled` normalizer whose table is broken.
fn check(bytes: &[u8]) -> serde_json::Result<()> {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        normalizer: Value,
    }
    fn check_normalizer(normalizer: &Value) -> serde_json::Result<()> {
        if normalizer["type"] == "Precompiled" {
            // From text, as the crate does: its table borrows.
            serde_json::from_str::<tokenizers::normalizers::Precompiled>(&normalizer.to_string())?;
        }
        normalizer["normalizers"].as_array().into_iter().flatten().try_for_each(check_normalizer)
    }
    check_normalizer(&serde_json::from_slice::<File>(bytes)?.normalizer)
}

/// The decoder and, where it is a sequence, its parts.
fn decoder_parts(decoder: Value) -> Vec<Value> {
    match decoder {
        Value::Object(mut d) if d.get("type").is_some_and(|t| t == "Sequence") => match d.get_mut("decoders") {
            Some(Value::Array(parts)) => parts.drain(..).flat_map(decoder_parts).collect(),
            _ => Vec::new(),
        },
        other => vec![other],
    }
}

impl Json {
    /// Parses a tokenizer.json. Its truncation and padding, which belong to training, are switched off.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let format_error = |e: String| Error::format("tokenizer.json", e);
        check(bytes).map_err(|e| format_error(e.to_string()))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| format_error(e.to_string()))?;
        inner.with_truncation(None).map_err(|e| format_error(e.to_string()))?;
        inner.with_padding(None);
        let decoder = serde_json::to_value(inner.get_decoder()).map_err(|e| format_error(e.to_string()))?;
        let parts = decoder_parts(decoder);
        let has = |kind: &str| parts.iter().any(|p| p["type"] == kind);
        let decoding = if has("ByteLevel") {
            Decoding::ByteLevel
        } else if has("ByteFallback") || has("Metaspace") {
            Decoding::SentencePiece
        } else {
            Decoding::Joint
        };
        let strips = |p: &Value| match p["type"].as_str() {
            Some("Strip") => p["start"].as_u64().is_some_and(|n| n > 0),
            Some("Metaspace") => p["prepend_scheme"] != "never",
            _ => false,
        };
        let strips_leading_space = parts.iter().any(strips);
        Ok(Self { inner, decoding, strips_leading_space })
    }

    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, add_special).map_err(text_error("encoding"))?;
        Ok(encoding.get_ids().to_vec())
    }

    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner.decode(ids, skip_special).map_err(text_error("decoding"))
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    pub fn is_special(&self, id: u32) -> bool {
        self.inner.get_added_vocabulary().get_added_tokens_decoder().get(&id).is_some_and(|t| t.special)
    }

    /// Appends the bytes of a token; `previous` is the token before it.
    pub fn piece(&self, previous: Option<u32>, id: u32, out: &mut Vec<u8>) -> Result<()> {
        let Some(token) = self.token(id) else { return Ok(()) };
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder().contains_key(&id);
        match self.decoding {
            Decoding::ByteLevel => bpe::push_bytes(&token, out),
            Decoding::SentencePiece => {
                let byte = spm::byte_of(&token).is_some();
                let kind = match (added, byte) {
                    (true, _) => TokenKind::UserDefined,
                    (false, true) => TokenKind::Byte,
                    (false, false) => TokenKind::Normal,
                };
                spm::push_bytes(&token, kind, out);
            }
            Decoding::Joint => {
                // What the token adds to its neighbour's text.
                let before = previous.map(|p| self.decode(&[p], false)).transpose()?.unwrap_or_default();
                let ids: Vec<u32> = previous.into_iter().chain([id]).collect();
                let both = self.decode(&ids, false)?;
                out.extend_from_slice(both.strip_prefix(&before).unwrap_or(&both).as_bytes());
            }
        }
        Ok(())
    }
}
