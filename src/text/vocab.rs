//! A vocabulary read from GGUF metadata: token texts in one arena, their kinds, and exact lookup both ways.

use crate::{
    error::{Error, Result},
    format::Metadata,
};

/// What a token is, after `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Ordinary text.
    Normal,
    /// The unknown token.
    Unknown,
    /// Marks structure (`<|im_start|>`): recognised in input, hidden in output.
    Control,
    /// Text taken out before the algorithm runs, shown in output.
    UserDefined,
    /// Present only to fill the table.
    Unused,
    /// One byte, written `<0xNN>`.
    Byte,
}

/// A stretch of input: text for the algorithm, or a token that was recognised whole.
pub(super) enum Piece<'a> {
    Text(&'a str),
    Token(u32),
}

/// Token texts, kinds, and lookups.
pub(super) struct Vocab {
    arena: String,
    /// Start of each token's text in `arena`, and the end of the last.
    starts: Vec<u32>,
    kinds: Vec<TokenKind>,
    /// Open-addressed hash table of `id + 1`, 0 where empty; its length is a power of two.
    table: Vec<u32>,
    /// For each first byte of a token that is split out of the text, the lengths of such tokens, longest first.
    split_lengths: Vec<Vec<u32>>,
}

/// FNV-1a over the bytes, then mixed: token texts are short, and the low bits index the table.
fn hash(text: &[u8]) -> u64 {
    let h = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    h ^ (h >> 32)
}

impl Vocab {
    /// Reads `tokenizer.ggml.tokens` and `tokenizer.ggml.token_type`.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let tokens = metadata
            .strings("tokenizer.ggml.tokens")
            .ok_or_else(|| Error::format("GGUF metadata", "tokenizer.ggml.tokens is missing or no array of strings"))?;
        let types = metadata.ints("tokenizer.ggml.token_type");
        if let Some(types) = types
            && types.len() != tokens.len()
        {
            let (a, b) = (types.len(), tokens.len());
            return Err(Error::format("GGUF metadata", format!("{a} tokenizer.ggml.token_type for {b} tokens")));
        }
        let kind = |id: usize| match types.map(|t| t[id]) {
            Some(2) => TokenKind::Unknown,
            Some(3) => TokenKind::Control,
            Some(4) => TokenKind::UserDefined,
            Some(5) => TokenKind::Unused,
            Some(6) => TokenKind::Byte,
            _ => TokenKind::Normal,
        };
        let kinds = (0..tokens.len()).map(kind).collect();
        Self::new(tokens.iter().map(String::as_str), kinds)
    }

    /// A vocabulary of `kinds.len()` tokens. Where a text occurs twice the first token has it.
    fn new<'a>(texts: impl Iterator<Item = &'a str>, kinds: Vec<TokenKind>) -> Result<Self> {
        if kinds.is_empty() || u32::try_from(kinds.len()).is_err() {
            return Err(Error::format("GGUF metadata", format!("a vocabulary of {} tokens", kinds.len())));
        }
        let mut vocab = Self {
            arena: String::new(),
            starts: vec![0],
            table: vec![0; (kinds.len() * 2).next_power_of_two()],
            split_lengths: vec![Vec::new(); 256],
            kinds,
        };
        for (id, text) in texts.enumerate() {
            vocab.arena.push_str(text);
            let end = u32::try_from(vocab.arena.len())
                .map_err(|_| Error::format("GGUF metadata", "the vocabulary's text is over 4 GiB"))?;
            vocab.starts.push(end);
            if text.is_empty() {
                continue;
            }
            if let Err(slot) = vocab.find(text) {
                vocab.table[slot] = id as u32 + 1;
                vocab.note_split(id as u32);
            }
        }
        vocab.split_lengths.iter_mut().for_each(|l| l.sort_unstable_by(|a, b| b.cmp(a)));
        Ok(vocab)
    }

    /// Token of this text, or the empty slot of the table where it would be.
    fn find(&self, text: &str) -> Result<u32, usize> {
        let mask = self.table.len() - 1;
        let mut slot = hash(text.as_bytes()) as usize & mask;
        loop {
            match self.table[slot] {
                0 => return Err(slot),
                id if self.text(id - 1) == text => return Ok(id - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Records that token `id` is to be split out of the text, when its kind says so.
    fn note_split(&mut self, id: u32) {
        if matches!(self.kind(id), TokenKind::Control | TokenKind::UserDefined | TokenKind::Unknown) {
            let text = self.text(id).as_bytes();
            let (first, len) = (usize::from(text[0]), text.len() as u32);
            let lengths = &mut self.split_lengths[first];
            if !lengths.contains(&len) {
                lengths.push(len);
            }
        }
    }

    /// Makes `id` a control token, whatever the file said (files exist that mark `<|im_end|>` as ordinary text).
    pub fn set_control(&mut self, id: u32) {
        if self.kind(id) != TokenKind::Control && !self.text(id).is_empty() {
            self.kinds[id as usize] = TokenKind::Control;
            self.note_split(id);
            let first = usize::from(self.text(id).as_bytes()[0]);
            self.split_lengths[first].sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// The token with exactly this text.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.find(text).ok()
    }

    /// The text of a token; `id` must be below [`Vocab::len`].
    pub fn text(&self, id: u32) -> &str {
        let id = id as usize;
        &self.arena[self.starts[id] as usize..self.starts[id + 1] as usize]
    }

    /// The text of a token, or `None` past the end.
    pub fn get(&self, id: u32) -> Option<&str> {
        ((id as usize) < self.len()).then(|| self.text(id))
    }

    /// The kind of a token; `id` must be below [`Vocab::len`].
    pub fn kind(&self, id: u32) -> TokenKind {
        self.kinds[id as usize]
    }

    /// The longest token to be taken out whole at the start of `text`.
    fn split_token_at_start(&self, text: &str) -> Option<u32> {
        let first = *text.as_bytes().first()?;
        self.split_lengths[usize::from(first)].iter().find_map(|&len| {
            let id = self.id(text.get(..len as usize)?)?;
            (!matches!(self.kind(id), TokenKind::Normal | TokenKind::Unused | TokenKind::Byte)).then_some(id)
        })
    }

    /// Cuts control, user-defined and unknown tokens out of the text: leftmost first, then longest.
    pub fn split<'a>(&self, text: &'a str, mut each: impl FnMut(Piece<'a>) -> Result<()>) -> Result<()> {
        let mut start = 0;
        let mut at = 0;
        while at < text.len() {
            let byte = text.as_bytes()[at];
            if !self.split_lengths[usize::from(byte)].is_empty()
                && text.is_char_boundary(at)
                && let Some(id) = self.split_token_at_start(&text[at..])
            {
                if start < at {
                    each(Piece::Text(&text[start..at]))?;
                }
                each(Piece::Token(id))?;
                at += self.text(id).len();
                start = at;
            } else {
                at += 1;
            }
        }
        if start < text.len() {
            each(Piece::Text(&text[start..]))?;
        }
        Ok(())
    }
}
