//! Finding texts that repeat themselves, as Whisper's do when it loses the thread.

/// Repetitions over at least so many tokens are a loop …
const LOOP_TOKENS: usize = 40;
/// … if there are at least so many.
const LOOP_COUNT: usize = 4;
/// Longest repeated piece that is looked for.
const LOOP_PERIOD: usize = 24;

/// If the text (tokens below `end`) ends with many repetitions of one piece: its length up to the end of the first of them.
///
/// Speech hardly repeats itself like this (ten words four times over), and a text that does compresses so well that it would
/// be refused at its end anyway; this refuses it some hundred tokens earlier.
pub(super) fn repeated_tail(tokens: &[u32], end: u32) -> Option<usize> {
    for period in 1..=LOOP_PERIOD {
        let count = LOOP_COUNT.max(LOOP_TOKENS.div_ceil(period));
        let Some(from) = tokens.len().checked_sub(period * count) else { continue };
        let tail = &tokens[from..];
        if tail.iter().all(|&id| id < end) && tail[period..].iter().zip(tail).all(|(a, b)| a == b) {
            return Some(from + period);
        }
    }
    None
}

/// Bytes of the text for each byte that zlib makes of it: high for a text that repeats itself.
pub(super) fn compression_ratio(text: &str) -> f64 {
    /// zlib's default.
    const LEVEL: u8 = 6;
    text.len() as f64 / miniz_oxide::deflate::compress_to_vec_zlib(text.as_bytes(), LEVEL).len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found_and_cut() {
        let text: Vec<u32> = (0..50).collect();
        assert_eq!(repeated_tail(&text, 1000), None);
        let mut looped = text.clone();
        while repeated_tail(&looped, 1000).is_none() {
            looped.extend([7, 8, 9]);
            assert!(looped.len() < 200);
        }
        assert_eq!(repeated_tail(&looped, 1000), Some(53));
        // Few, or with timestamps in between.
        assert_eq!(repeated_tail(&[5; 39], 1000), None);
        assert_eq!(repeated_tail(&[5; 40], 1000), Some(1));
        assert_eq!(repeated_tail(&[5; 40], 5), None);
    }

    #[test]
    fn ratios_are_zlibs() {
        let prose = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.";
        // Python's zlib makes 79 bytes of these 107.
        let ratio = compression_ratio(prose);
        assert!((ratio * 79.0 / 107.0 - 1.0).abs() < 0.03, "{ratio}");
        // Repetitions are far above the usual threshold of 2.4, whatever a compressor's few bytes at either end.
        assert!(compression_ratio(&"you ".repeat(60)) > 8.0);
        assert_eq!(compression_ratio(""), 0.0);
    }
}
