//! The tokenizer of a whisper.cpp file, which holds a vocabulary only: special tokens have fixed places behind it, and which
//! tokens merge follows from their order.

use super::tokens::LANGUAGES;
use crate::{
    error::{Error, Result},
    format::{Metadata, Value},
    text::Tokenizer,
};
use std::collections::HashMap;

/// Builds the tokenizer.
///
/// # Errors
/// [`Error::Format`] when the vocabulary is missing or of an impossible size.
pub(super) fn tokenizer(metadata: &Metadata) -> Result<Tokenizer> {
    let missing = || Error::format("model", "whisper.vocabulary is missing");
    let base = metadata.strings("whisper.vocabulary").ok_or_else(missing)?;
    let size = metadata.uint("whisper.vocab_size").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let specials = specials(size);
    let end = size.saturating_sub(specials.len());
    if specials.is_empty() || base.len() < end {
        let message = format!("a vocabulary of {} tokens, of {size} altogether: not Whisper's", base.len());
        return Err(Error::format("model", message));
    }
    let base = &base[..end];
    let merges = merges(base);
    let (normal, control) = (1, 3);
    let kinds = (0..size).map(|id| if id < end { normal } else { control }).collect();
    let tokens = base.iter().cloned().chain(specials).collect();
    let mut out = Metadata::default();
    for (key, value) in [
        ("model", Value::String("gpt2".into())),
        ("pre", Value::String("gpt-2".into())),
        ("tokens", Value::Strings(tokens)),
        ("token_type", Value::Ints(kinds)),
        ("merges", Value::Strings(merges)),
        ("add_bos_token", Value::Bool(false)),
        ("eos_token_id", Value::U32(end as u32)),
    ] {
        out.0.insert(format!("tokenizer.ggml.{key}"), value);
    }
    Tokenizer::from_gguf(&out)
}

/// The special tokens behind the words of a vocabulary of `size`; none for sizes that no Whisper has.
fn specials(size: usize) -> Vec<String> {
    const TIMES: usize = 1501;
    /// Words, the end of text, and what stands beside languages and times, in the smallest vocabulary.
    const ENGLISH: usize = 51_864;
    let languages = match size.checked_sub(ENGLISH) {
        Some(0 | 1) => 99,
        Some(2) => 100,
        _ => return Vec::new(),
    };
    let names = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"].map(String::from);
    let start = ["endoftext", "startoftranscript"].map(String::from);
    let codes = LANGUAGES[..languages].iter().map(|l| l.0.to_owned());
    let times = (0..TIMES).map(|i| format!("{:.2}", i as f64 * super::tokens::TIMESTAMP_STEP));
    start.into_iter().chain(codes).chain(names).chain(times).map(|name| format!("<|{name}|>")).collect()
}

/// The pairs that the tokens were merged from, in their order: what the merges before a token make of its letters.
fn merges(tokens: &[String]) -> Vec<String> {
    let ranks: HashMap<&str, usize> = tokens.iter().enumerate().map(|(rank, t)| (t.as_str(), rank)).collect();
    let mut merges = Vec::with_capacity(tokens.len());
    for (own, token) in tokens.iter().enumerate() {
        // Where its parts begin, and its end.
        let mut cuts: Vec<usize> = token.char_indices().map(|(i, _)| i).chain([token.len()]).collect();
        while cuts.len() > 3 {
            let rank = |i: usize| ranks.get(&token[cuts[i]..cuts[i + 2]]).copied().filter(|&r| r < own);
            let Some((_, at)) = (0..cuts.len() - 2).filter_map(|i| Some((rank(i)?, i))).min() else { break };
            cuts.remove(at + 1);
        }
        if let [start, middle, end] = cuts[..] {
            merges.push(format!("{} {}", &token[start..middle], &token[middle..end]));
        }
    }
    merges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_have_their_places() {
        for (size, end, times) in [(51_864, 50_256, 50_363), (51_865, 50_257, 50_364), (51_866, 50_257, 50_365)] {
            let specials = specials(size);
            assert_eq!(size - specials.len(), end);
            assert_eq!(specials[times - end], "<|0.00|>");
            assert_eq!((specials[0].as_str(), specials[specials.len() - 1].as_str()), ("<|endoftext|>", "<|30.00|>"));
        }
        assert!(specials(50_000).is_empty());
    }

    #[test]
    fn merges_follow_from_the_order() {
        let tokens: Vec<String> = ["a", "b", "c", "ab", "bc", "abc", "abcabc"].map(String::from).into();
        assert_eq!(merges(&tokens), ["a b", "b c", "ab c", "abc abc"]);
    }
}
