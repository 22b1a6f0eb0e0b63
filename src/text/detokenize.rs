//! Text from tokens as they come.

use super::Tokenizer;
use crate::error::Result;

/// Turns tokens into text one by one, never splitting a character: bytes of an unfinished one are held back.
///
/// The texts given out together are what [`Tokenizer::decode`] makes of all the ids without special tokens. The cost
/// of a token does not depend on how many came before.
#[derive(Clone, Debug, Default)]
pub struct DetokenizeStream {
    held: Vec<u8>,
    previous: Option<u32>,
    /// A token has been seen that the reader sees.
    started: bool,
    with_special: bool,
}

impl DetokenizeStream {
    /// A stream at the beginning of a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream that goes on after a prompt whose last token is `last`: the space that SentencePiece models put
    /// before a text is kept, unless the prompt ended with a special token, after which a text begins anew.
    pub fn after(tokenizer: &Tokenizer, last: Option<u32>) -> Self {
        let previous = last.filter(|&id| !tokenizer.is_special(id));
        Self { previous, started: previous.is_some(), ..Self::default() }
    }

    /// Shows special tokens too.
    pub fn with_special(mut self) -> Self {
        self.with_special = true;
        self
    }

    /// The text that this token completes; empty while a character is unfinished.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String> {
        if !self.with_special && tokenizer.is_special(id) {
            return Ok(String::new());
        }
        let before = self.held.len();
        tokenizer.piece(self.previous, id, &mut self.held)?;
        let stripped = !self.started && tokenizer.strips_leading_space() && self.held.get(before) == Some(&b' ');
        if stripped {
            self.held.remove(before);
        }
        self.started |= self.held.len() > before || stripped;
        self.previous = Some(id);
        Ok(self.release())
    }

    /// What is still held back, an unfinished character as U+FFFD; the stream is then as new.
    ///
    /// # Errors
    /// None today; the signature leaves room for decoders that fail at the end.
    pub fn finish(&mut self, _tokenizer: &Tokenizer) -> Result<String> {
        let text = String::from_utf8_lossy(&self.held).into_owned();
        *self = Self { with_special: self.with_special, ..Self::default() };
        Ok(text)
    }

    /// Takes the finished characters out of the held bytes; bytes that can become no character are U+FFFD.
    fn release(&mut self) -> String {
        let mut text = String::new();
        let mut rest = self.held.as_slice();
        while let [_, ..] = rest {
            let (valid, invalid) = match std::str::from_utf8(rest) {
                Ok(all) => (all, Some(0)),
                Err(e) => (std::str::from_utf8(&rest[..e.valid_up_to()]).unwrap_or_default(), e.error_len()),
            };
            text.push_str(valid);
            rest = &rest[valid.len()..];
            match invalid {
                None => break, // unfinished: what follows may complete it
                Some(0) => {}
                Some(n) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[n..];
                }
            }
        }
        let kept = rest.len();
        self.held.drain(..self.held.len() - kept);
        text
    }
}
