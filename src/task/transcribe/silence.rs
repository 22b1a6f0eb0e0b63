//! Text that was heard where nothing is said: words of odd lengths or low probability between silences, as OpenAI's
//! implementation finds them (its option `hallucination_silence_threshold`).

use super::segment::{Segment, Word};

/// Marks that are no words.
const MARKS: &str = "\"'“¿([{-\"'.。,，!！?？:：”)]}、";
/// Words of a segment that are looked at.
const WORDS: usize = 8;
/// Seconds that always count as near a window's end or beginning.
const NEAR: f64 = 2.0;

/// Where a window is in the sound, in seconds.
pub(super) struct Place {
    pub start: f64,
    /// Where its sound ends.
    pub end: f64,
    /// Where it would end if it were full.
    pub full_end: f64,
    /// Where the whole sound ends, if that is known.
    pub sound_end: Option<f64>,
    /// Where speech ended before the window.
    pub last_speech: f64,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Where the text says.
    AsItWas,
    /// At the window's end.
    End,
    /// At so many seconds.
    At(f64),
    /// At so many seconds, forgetting all segments.
    Again(f64),
}

/// How odd a word is: 1 and more is odd.
fn oddness(word: &Word) -> f64 {
    let length = word.end - word.start;
    f64::from(u8::from(word.probability < 0.15)) + (0.133 - length).max(0.0) * 15.0 + (length - 2.0).max(0.0)
}

fn words(segment: &Segment) -> &[Word] {
    segment.words.as_deref().unwrap_or_default()
}

/// Is it made of odd words?
fn is_odd(segment: &Segment) -> bool {
    let few: Vec<&Word> = words(segment).iter().filter(|w| !MARKS.contains(&w.text)).take(WORDS).collect();
    let score: f64 = few.iter().map(|w| oddness(w)).sum();
    !words(segment).is_empty() && (score >= 3.0 || score + 0.01 >= few.len() as f64)
}

/// Takes away the segments from the first on that is odd and has silence, or oddness, around it, and says where to go on.
/// `ended` is whether the text ends with a single timestamp.
pub(super) fn skip_silence(segments: &mut Vec<Segment>, place: &Place, threshold: f64, ended: bool) -> Next {
    let last_word = |segments: &[Segment]| segments.iter().rev().find_map(|s| words(s).last()).map(|w| w.end);
    let mut next = Next::AsItWas;
    if !ended && let Some(end) = last_word(segments).filter(|&end| end > place.start) {
        next = if place.full_end - end > threshold { Next::At(end) } else { Next::End };
    }
    // What comes first may be wrong for the silence before it.
    if let Some(first) = segments.iter().find(|s| !words(s).is_empty()).filter(|s| is_odd(s)) {
        let gap = first.start - place.start;
        if gap > threshold {
            return Next::Again(first.start);
        }
    }
    let mut speech_end = place.last_speech;
    for i in 0..segments.len() {
        let segment = &segments[i];
        if words(segment).is_empty() {
            continue;
        }
        if is_odd(segment) {
            let following = segments[i + 1..].iter().find(|s| !words(s).is_empty());
            let following_start = following.and_then(|s| words(s).first()).map_or(place.end, |w| w.start);
            let silence_before = segment.start - speech_end > threshold
                || segment.start < threshold
                || segment.start - place.start < NEAR;
            let silence_after = following_start - segment.end > threshold
                || following.is_some_and(is_odd)
                || place.full_end - segment.end < NEAR;
            if silence_before && silence_after {
                let at = segment.start.max(place.start + 1.0);
                let over = place.sound_end.is_some_and(|end| end - segment.end < threshold);
                segments.truncate(i);
                return if over { Next::End } else { Next::At(at) };
            }
        }
        speech_end = segment.end;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment of words of equal lengths.
    fn segment(start: f64, end: f64, count: usize, probability: f64) -> Segment {
        let step = (end - start) / count as f64;
        let word = |i: usize| {
            let at = start + step * i as f64;
            Word { text: " word".into(), start: at, end: at + step, probability }
        };
        Segment {
            id: 0,
            start,
            end,
            text: String::new(),
            tokens: Vec::new(),
            words: Some((0..count).map(word).collect()),
            temperature: 0.0,
            average_log_probability: 0.0,
            compression_ratio: 1.0,
            no_speech_probability: 0.0,
        }
    }

    const PLACE: Place = Place { start: 30.0, end: 60.0, full_end: 60.0, sound_end: None, last_speech: 30.0 };

    #[test]
    fn odd_text_between_silences_goes() {
        let said = |segments: &[Segment]| segments.len();
        // Plain speech stays; the window goes on at its last word, or at its end when that is near.
        let mut plain = vec![segment(31.0, 35.0, 10, 0.9), segment(36.0, 40.0, 10, 0.9)];
        assert_eq!((skip_silence(&mut plain, &PLACE, 2.0, false), said(&plain)), (Next::At(40.0), 2));
        assert_eq!((skip_silence(&mut plain, &PLACE, 2.0, true), said(&plain)), (Next::AsItWas, 2));
        assert_eq!(skip_silence(&mut plain, &PLACE, 25.0, false), Next::End);
        // An improbable phrase far from speech.
        let mut phrase = vec![segment(31.0, 35.0, 10, 0.9), segment(45.0, 46.0, 3, 0.05)];
        assert_eq!((skip_silence(&mut phrase, &PLACE, 2.0, false), said(&phrase)), (Next::At(45.0), 1));
        // The same next to speech stays.
        let mut near = vec![segment(31.0, 35.0, 10, 0.9), segment(35.5, 37.0, 3, 0.05), segment(37.5, 39.0, 5, 0.9)];
        assert_eq!((skip_silence(&mut near, &PLACE, 2.0, true), said(&near)), (Next::AsItWas, 3));
        // One word of seven seconds after silence: the window is heard again from there.
        let mut first = vec![segment(40.0, 47.0, 1, 0.9)];
        assert_eq!(skip_silence(&mut first, &PLACE, 2.0, false), Next::Again(40.0));
        // At the end of the sound nothing is heard again.
        let over = Place { sound_end: Some(47.0), ..PLACE };
        let mut last = vec![segment(31.0, 35.0, 10, 0.9), segment(45.0, 46.0, 3, 0.05)];
        assert_eq!((skip_silence(&mut last, &over, 2.0, false), said(&last)), (Next::End, 1));
    }
}
