//! Text to token ids and back.

use super::{
    bpe::Bpe,
    json::Json,
    pretokenizer,
    spm::Spm,
    vocab::{Piece, TokenKind, Vocab},
};
use crate::{
    error::{Error, Result},
    format::Metadata,
};

/// Tokens that end a turn or a text, whatever the file calls its end-of-sequence token.
const END_TOKENS: [&str; 12] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<|end|>",
    "<|return|>",
    "<|end_of_turn|>",
    "<|eot|>",
    "<EOT>",
    "<｜end▁of▁sentence｜>",
];

/// The value of `tokenizer.ggml.{name}_token_id`, checked against the vocabulary's size.
pub(super) fn metadata_id(metadata: &Metadata, name: &str, vocab_size: usize) -> Result<Option<u32>> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    match metadata.uint(&key) {
        Some(id) if id >= vocab_size as u64 => {
            Err(Error::format("GGUF metadata", format!("{key} is {id}, past the vocabulary of {vocab_size} tokens")))
        }
        id => Ok(id.map(|id| id as u32)),
    }
}

/// A GGUF file's tokenizer.
struct Gguf {
    vocab: Vocab,
    model: Model,
    /// White space after a special token is swallowed (Phi-3).
    strip_after_special: bool,
    add_bos: bool,
    add_eos: bool,
}

enum Model {
    Bpe(Bpe),
    Spm(Spm),
}

enum Kind {
    Json(Box<Json>),
    Gguf(Box<Gguf>),
}

/// Turns text into token ids and back.
///
/// From a tokenizer.json ([`Tokenizer::from_json`]) or from GGUF metadata with no other file
/// ([`Tokenizer::from_gguf`]).
pub struct Tokenizer {
    kind: Kind,
    bos: Option<u32>,
    eos: Option<u32>,
    ends: Vec<u32>,
}

impl Tokenizer {
    /// Reads a tokenizer.json. Which tokens begin and end a text is not in that file: [`Tokenizer::apply_config`]
    /// takes it from tokenizer_config.json, [`Tokenizer::add_eos_ids`] from generation_config.json.
    ///
    /// # Errors
    /// [`Error::Format`] when the file is not a tokenizer.json.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let json = Json::new(bytes)?;
        let mut tokenizer = Self { kind: Kind::Json(Box::new(json)), bos: None, eos: None, ends: Vec::new() };
        tokenizer.find_end_tokens();
        Ok(tokenizer)
    }

    /// Builds the tokenizer that a GGUF file carries: kinds `gpt2` (byte-level BPE) and `llama` (SentencePiece BPE).
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other kinds and for pre-tokenizer names that are not known;
    /// [`Error::Format`] when the metadata contradicts itself.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let kind = metadata.string("tokenizer.ggml.model").ok_or_else(|| {
            Error::format("GGUF metadata", "tokenizer.ggml.model is missing: the file carries no tokenizer")
        })?;
        // The BPE kind has a preset, the SentencePiece kind has none.
        let preset = match kind {
            "gpt2" => Some(pretokenizer::preset(metadata.string("tokenizer.ggml.pre").unwrap_or("default"))?),
            "llama" => None,
            other => {
                return Err(Error::Unsupported(format!(
                    "tokenizer kind {other:?} of this GGUF file (gpt2 and llama are known); \
                     give the model's tokenizer.json beside it"
                )));
            }
        };
        let mut vocab = Vocab::from_gguf(metadata)?;
        let id = |name| metadata_id(metadata, name, vocab.len());
        let (bos, eos) = (id("bos")?, id("eos")?);
        let mut ends: Vec<u32> = [eos, id("eot")?, id("eom")?].into_iter().flatten().collect();
        ends.dedup();
        // Files exist that mark end-of-turn tokens as ordinary text.
        END_TOKENS
            .iter()
            .filter_map(|t| vocab.id(t))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|t| vocab.set_control(t));
        let model = match &preset {
            Some(preset) => Model::Bpe(Bpe::from_gguf(metadata, &vocab, preset)?),
            None => Model::Spm(Spm::from_gguf(metadata, &vocab)?),
        };
        let add_bos = preset.is_none_or(|p| p.add_bos);
        let architecture = metadata.string("general.architecture").unwrap_or_default();
        let gguf = Gguf {
            strip_after_special: kind == "llama" && architecture == "phi3",
            add_bos: metadata.bool("tokenizer.ggml.add_bos_token").unwrap_or(add_bos),
            add_eos: metadata.bool("tokenizer.ggml.add_eos_token").unwrap_or(false),
            vocab,
            model,
        };
        let mut tokenizer = Self { kind: Kind::Gguf(Box::new(gguf)), bos, eos, ends };
        tokenizer.find_end_tokens();
        Ok(tokenizer)
    }

    /// Takes `bos_token` and `eos_token` from the text of a tokenizer_config.json (a string, or an object with
    /// `content`).
    ///
    /// # Errors
    /// [`Error::Format`] when it is not JSON.
    pub fn apply_config(&mut self, tokenizer_config: &str) -> Result<()> {
        let config: serde_json::Value = serde_json::from_str(tokenizer_config)
            .map_err(|e| Error::format("tokenizer_config.json", e.to_string()))?;
        let id = |name: &str| {
            let token = &config[name];
            self.token_id(token.as_str().or_else(|| token["content"].as_str())?)
        };
        let (bos, eos) = (id("bos_token"), id("eos_token"));
        self.bos = bos.or(self.bos);
        self.eos = eos.or(self.eos);
        self.add_eos_ids(&eos.into_iter().collect::<Vec<_>>());
        Ok(())
    }

    /// Adds tokens that end a text, such as `eos_token_id` of generation_config.json.
    pub fn add_eos_ids(&mut self, ids: &[u32]) {
        for &id in ids {
            if !self.ends.contains(&id) {
                self.ends.push(id);
            }
        }
        self.eos = self.eos.or_else(|| ids.first().copied());
    }

    fn find_end_tokens(&mut self) {
        let found: Vec<u32> =
            END_TOKENS.iter().filter_map(|t| self.token_id(t)).filter(|&id| self.is_special(id)).collect();
        let eos = self.eos;
        self.add_eos_ids(&found);
        self.eos = eos;
    }

    /// Token ids of a text. Special tokens written in the text (`<|im_start|>`) are recognised.
    ///
    /// `add_special` adds what the model wants around a text, usually a token for its beginning; a rendered chat
    /// template has it already, so pass `false` there. Bytes that a BPE vocabulary lacks are left out.
    ///
    /// # Errors
    /// [`Error::Text`] when the vocabulary can express neither a character nor its absence.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let gguf = match &self.kind {
            Kind::Json(json) => return json.encode(text, add_special),
            Kind::Gguf(gguf) => gguf,
        };
        let mut out = Vec::with_capacity(text.len() / 3 + 2);
        out.extend(self.bos.filter(|_| add_special && gguf.add_bos));
        let mut after_special = true;
        let mut strip = false;
        gguf.vocab.split(text, |piece| {
            match piece {
                Piece::Token(id) => {
                    out.push(id);
                    after_special = true;
                    strip = gguf.strip_after_special && gguf.vocab.kind(id) != TokenKind::Unknown;
                }
                Piece::Text(text) => {
                    let text = if strip { text.trim_start() } else { text };
                    strip = false;
                    if text.is_empty() {
                        return Ok(());
                    }
                    match &gguf.model {
                        Model::Bpe(bpe) => bpe.encode(&gguf.vocab, text, &mut out)?,
                        Model::Spm(spm) => spm.encode(&gguf.vocab, text, after_special, &mut out)?,
                    }
                    after_special = false;
                }
            }
            Ok(())
        })?;
        out.extend(self.eos.filter(|_| add_special && gguf.add_eos));
        Ok(out)
    }

    /// The text of token ids, without special tokens if `skip_special`. Bytes that are no UTF-8 become U+FFFD, ids
    /// past the vocabulary nothing.
    ///
    /// # Errors
    /// [`Error::Text`] when the decoder of a tokenizer.json fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        if let Kind::Json(json) = &self.kind {
            return json.decode(ids, skip_special);
        }
        let mut bytes = Vec::new();
        for &id in ids.iter().filter(|&&id| !(skip_special && self.is_special(id))) {
            self.piece(None, id, &mut bytes)?;
        }
        let start = usize::from(self.strips_leading_space() && bytes.first() == Some(&b' '));
        Ok(String::from_utf8_lossy(&bytes[start..]).into_owned())
    }

    /// Appends the bytes that a token adds to a text; `previous` is the token before it.
    pub(super) fn piece(&self, previous: Option<u32>, id: u32, out: &mut Vec<u8>) -> Result<()> {
        match &self.kind {
            Kind::Json(json) => json.piece(previous, id, out)?,
            Kind::Gguf(gguf) if (id as usize) < gguf.vocab.len() => match &gguf.model {
                Model::Bpe(bpe) => bpe.piece(&gguf.vocab, id, out),
                Model::Spm(spm) => spm.piece(&gguf.vocab, id, out),
            },
            Kind::Gguf(_) => {}
        }
        Ok(())
    }

    /// Does decoding take one space from the start of a text (which encoding put there)?
    pub(super) fn strips_leading_space(&self) -> bool {
        match &self.kind {
            Kind::Json(json) => json.strips_leading_space,
            Kind::Gguf(gguf) => matches!(&gguf.model, Model::Spm(spm) if spm.add_space_prefix),
        }
    }

    /// The id of a token, written as the vocabulary writes it.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        match &self.kind {
            Kind::Json(json) => json.id(token),
            Kind::Gguf(gguf) => gguf.vocab.id(token),
        }
    }

    /// A token as the vocabulary writes it (`Ġthe`, `▁the`), not as text.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        match &self.kind {
            Kind::Json(json) => json.token(id),
            Kind::Gguf(gguf) => gguf.vocab.get(id).map(str::to_owned),
        }
    }

    /// How many tokens there are; a model may have more rows than that.
    pub fn vocab_size(&self) -> usize {
        match &self.kind {
            Kind::Json(json) => json.vocab_size(),
            Kind::Gguf(gguf) => gguf.vocab.len(),
        }
    }

    /// Is this a token that marks structure and is hidden from readers?
    pub fn is_special(&self, id: u32) -> bool {
        match &self.kind {
            Kind::Json(json) => json.is_special(id),
            Kind::Gguf(gguf) => {
                (id as usize) < gguf.vocab.len()
                    && matches!(gguf.vocab.kind(id), TokenKind::Control | TokenKind::Unknown)
            }
        }
    }

    /// Tokens that end a text or a turn.
    pub fn eos_ids(&self) -> &[u32] {
        &self.ends
    }

    /// The token that ends a text.
    pub fn eos_id(&self) -> Option<u32> {
        self.eos
    }

    /// The token that begins a text.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos
    }
}
