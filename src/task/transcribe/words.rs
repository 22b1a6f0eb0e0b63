//! Words of tokens and their times, as OpenAI's implementation cuts and corrects them.

use super::{
    align::TokenTimes,
    segment::{Segment, Word},
    tokens::Tokens,
};
use crate::{error::Result, text::Tokenizer};

/// Punctuation that belongs to the word after it.
const PREPENDED: &str = "\"'“¿([{-";
/// Punctuation that belongs to the word before it.
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";
/// Ends of sentences: pauses follow, which alignment gives to the mark.
const SENTENCE_ENDS: &str = ".。!！?？";
/// What Python calls `string.punctuation`.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
/// Languages written without spaces.
const UNSPACED: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];

/// A word while it is worked on.
#[derive(Clone, Debug, PartialEq)]
struct Timed {
    text: String,
    tokens: usize,
    start: f64,
    end: f64,
    probability: f64,
}

/// Cuts tokens into words: texts, and how many tokens each has.
pub(super) fn cut(tokenizer: &Tokenizer, ids: &[u32], language: &str) -> Result<Vec<(String, usize)>> {
    let full: Vec<char> = tokenizer.decode(ids, true)?.chars().collect();
    let (mut pieces, mut held, mut offset) = (Vec::new(), Vec::new(), 0);
    for &id in ids {
        held.push(id);
        let text = tokenizer.decode(&held, true)?;
        let broken = text.chars().position(|c| c == char::REPLACEMENT_CHARACTER);
        // A broken character at this place is one of the text's own, or one that the next token completes.
        if broken.is_none_or(|at| full.get(offset + at) == Some(&char::REPLACEMENT_CHARACTER)) {
            offset += text.chars().count();
            pieces.push((text, held.len()));
            held.clear();
        }
    }
    if UNSPACED.contains(&language) {
        return Ok(pieces);
    }
    let mut words: Vec<(String, usize)> = Vec::new();
    for (text, tokens) in pieces {
        let mark = text.trim();
        let begins = text.starts_with(' ') || PUNCTUATION.contains(mark);
        match words.last_mut() {
            Some(word) if !begins => {
                word.0.push_str(&text);
                word.1 += tokens;
            }
            _ => words.push((text, tokens)),
        }
    }
    Ok(words)
}

/// Gives the segments of one window, which begins at `offset` seconds, their words. `last_speech` is where speech ended before
/// it, and is moved on.
pub(super) fn add_words(
    segments: &mut [Segment],
    times: &TokenTimes,
    tokenizer: &Tokenizer,
    tokens: &Tokens,
    language: &str,
    offset: f64,
    last_speech: &mut f64,
) -> Result<()> {
    let ids_of = |segment: &Segment| segment.tokens.iter().copied().filter(|&id| id < tokens.end).collect::<Vec<_>>();
    let all: Vec<u32> = segments.iter().flat_map(&ids_of).collect();
    let mut at = 0;
    let mut words = Vec::new();
    for (text, count) in cut(tokenizer, &all, language)? {
        let probability = times.probabilities[at..at + count].iter().sum::<f64>() / count as f64;
        words.push(Timed { text, tokens: count, start: times.starts[at], end: times.starts[at + count], probability });
        at += count;
    }
    let usual = usual_length(&words);
    let longest = usual * 2.0;
    shorten_at_sentence_ends(&mut words, longest);
    merge_punctuation(&mut words);
    let mut rest = words.into_iter();
    for segment in segments {
        let wanted = ids_of(segment).len();
        let (mut taken, mut own) = (0, Vec::new());
        while taken < wanted {
            let Some(word) = rest.next() else { break };
            taken += word.tokens;
            if !word.text.is_empty() {
                let time = |t: f64| ((offset + t) * 100.0).round() / 100.0;
                let (start, end) = (time(word.start), time(word.end));
                own.push(Word { text: word.text, start, end, probability: word.probability });
            }
        }
        fit_to_segment(&mut own, segment, usual, longest, *last_speech);
        if !own.is_empty() {
            *last_speech = segment.end;
        }
        segment.words = Some(own);
    }
    Ok(())
}

/// The median length of a word, at most 0.7 seconds.
fn usual_length(words: &[Timed]) -> f64 {
    let mut lengths: Vec<f64> = words.iter().map(|w| w.end - w.start).filter(|&l| l != 0.0).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    let middle = lengths.len() / 2;
    let median = match lengths.len() {
        0 => 0.0,
        n if n % 2 == 1 => lengths[middle],
        _ => (lengths[middle - 1] + lengths[middle]) / 2.0,
    };
    median.min(0.7)
}

fn shorten_at_sentence_ends(words: &mut [Timed], longest: f64) {
    if longest == 0.0 {
        return;
    }
    for i in 1..words.len() {
        if words[i].end - words[i].start > longest {
            if SENTENCE_ENDS.contains(&words[i].text) {
                words[i].end = words[i].start + longest;
            } else if SENTENCE_ENDS.contains(&words[i - 1].text) {
                words[i].start = words[i].end - longest;
            }
        }
    }
}

/// Moves the text and tokens of punctuation into the word that it belongs to; what is left is empty.
fn merge_punctuation(words: &mut [Timed]) {
    let take = |word: &mut Timed| (std::mem::take(&mut word.text), std::mem::take(&mut word.tokens));
    let mut into = words.len().saturating_sub(1);
    for i in (0..into).rev() {
        if words[i].text.starts_with(' ') && PREPENDED.contains(words[i].text.trim()) {
            let (text, tokens) = take(&mut words[i]);
            words[into].text.insert_str(0, &text);
            words[into].tokens += tokens;
        } else {
            into = i;
        }
    }
    let mut into = 0;
    for i in 1..words.len() {
        if !words[into].text.ends_with(' ') && APPENDED.contains(&words[i].text) {
            let (text, tokens) = take(&mut words[i]);
            words[into].text.push_str(&text);
            words[into].tokens += tokens;
        } else {
            into = i;
        }
    }
}

/// Takes pauses off the first and last word, and makes word and segment times agree.
fn fit_to_segment(words: &mut [Word], segment: &mut Segment, usual: f64, longest: f64, last_speech: f64) {
    if let [first, second, ..] = words
        && first.end - last_speech > usual * 4.0
        && (first.end - first.start > longest || second.end - first.start > longest * 2.0)
    {
        if second.end - second.start > longest {
            let boundary = (second.end / 2.0).max(second.end - longest);
            (first.end, second.start) = (boundary, boundary);
        }
        first.start = (first.end - longest).max(0.0);
    } else if let [only] = words
        && only.end - last_speech > usual * 4.0
        && only.end - only.start > longest
    {
        only.start = (only.end - longest).max(0.0);
    }
    if let Some(first) = words.first_mut() {
        if segment.start < first.end && segment.start - 0.5 > first.start {
            first.start = (first.end - usual).min(segment.start).max(0.0);
        } else {
            segment.start = first.start;
        }
    }
    if let Some(last) = words.last_mut() {
        if segment.end > last.start && segment.end + 0.5 < last.end {
            last.end = (last.start + usual).max(segment.end);
        } else {
            segment.end = last.end;
        }
    }
}
