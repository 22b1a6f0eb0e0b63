//! What may be said next: OpenAI's rules for timestamps and suppressed tokens, on one row of logits.

use super::tokens::Tokens;

const NEVER: f32 = f32::NEG_INFINITY;

/// How the next token is restricted.
#[derive(Clone, Debug)]
pub(super) struct Rules<'a> {
    pub tokens: &'a Tokens,
    pub timestamps: bool,
}

impl Rules<'_> {
    /// Makes what may not follow `said` (what was said since the prompt) impossible.
    pub fn apply(&self, logits: &mut [f32], said: &[u32]) {
        let tokens = self.tokens;
        let mut forbid = |id: u32| {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = NEVER;
            }
        };
        if said.is_empty() {
            tokens.suppressed_first.iter().for_each(|&id| forbid(id));
        }
        tokens.suppressed.iter().for_each(|&id| forbid(id));
        forbid(tokens.no_timestamps);
        if self.timestamps {
            self.timestamp_rules(logits, said);
        }
    }

    /// Timestamps come in pairs except before the end, never go back, and come first.
    fn timestamp_rules(&self, logits: &mut [f32], said: &[u32]) {
        let (first, end) = (self.tokens.first_timestamp as usize, self.tokens.end as usize);
        if logits.len() <= first {
            return;
        }
        let is_timestamp = |id: &u32| *id as usize >= first;
        let last = said.last().is_some_and(is_timestamp);
        let before = said.len() < 2 || is_timestamp(&said[said.len() - 2]);
        match (last, before) {
            (true, true) => logits[first..].fill(NEVER),
            // Text does not follow the end of a segment.
            (true, false) => logits[..end].fill(NEVER),
            _ => {}
        }
        if let Some(&latest) = said.iter().rev().find(|id| is_timestamp(id)) {
            // A segment is longer than nothing; the next may begin where it ends.
            let open = if last && !before { latest } else { latest + 1 };
            let open = (open as usize).clamp(first, logits.len());
            logits[first..open].fill(NEVER);
        }
        if said.is_empty() {
            logits[..first].fill(NEVER);
            let latest = first + self.tokens.max_initial_timestamp as usize + 1;
            let latest = latest.min(logits.len());
            logits[latest..].fill(NEVER);
        }
        // A timestamp is due when all of them together are likelier than any one token of text.
        let (text, times) = logits.split_at(first);
        if log_sum_exp(times) > text.iter().copied().fold(NEVER, f32::max) {
            logits[..first].fill(NEVER);
        }
    }
}

/// Logarithm of the sum of the exponentials.
pub(super) fn log_sum_exp(values: &[f32]) -> f32 {
    let top = values.iter().copied().fold(NEVER, f32::max);
    if top == NEVER {
        return NEVER;
    }
    top + values.iter().map(|v| f64::from(v - top).exp()).sum::<f64>().ln() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text 0..6, suppressed 5, end 6, no_timestamps 7, timestamps 8..12.
    fn tokens() -> Tokens {
        Tokens {
            start: 5,
            end: 6,
            tasks: None,
            languages: Vec::new(),
            previous: None,
            no_speech: None,
            no_timestamps: 7,
            first_timestamp: 8,
            suppressed: vec![5],
            suppressed_first: vec![0, 6],
            max_initial_timestamp: 1,
        }
    }

    fn allowed(timestamps: bool, said: &[u32], logits: [f32; 12]) -> Vec<usize> {
        let (tokens, mut logits) = (tokens(), logits);
        Rules { tokens: &tokens, timestamps }.apply(&mut logits, said);
        (0..12).filter(|&i| logits[i] > NEVER).collect()
    }

    #[test]
    fn timestamps_come_in_order_and_in_pairs() {
        // Text is so likely that no timestamp is due.
        let mut text = [0.0; 12];
        (text[1], text[6]) = (9.0, 9.0);
        assert_eq!(allowed(false, &[], text), [1, 2, 3, 4, 8, 9, 10, 11]);
        assert_eq!(allowed(true, &[], text), [8, 9], "first comes a timestamp, not too late");
        assert_eq!(allowed(true, &[8], text), [0, 1, 2, 3, 4, 6], "then text");
        assert_eq!(allowed(true, &[8, 1], text), [0, 1, 2, 3, 4, 6, 9, 10, 11]);
        assert_eq!(allowed(true, &[8, 1, 10], text), [6, 10, 11], "the end, or where the next segment begins");
        assert_eq!(allowed(true, &[8, 1, 10, 10], text), [0, 1, 2, 3, 4, 6]);
        assert_eq!(allowed(true, &[8, 1, 10, 10, 2], text), [0, 1, 2, 3, 4, 6, 11]);
    }

    #[test]
    fn timestamps_are_due_when_likelier_together() {
        let mut logits = [0.0; 12];
        logits[1] = 1.0;
        assert_eq!(allowed(true, &[8, 1], logits), [9, 10, 11], "ln 3 > 1");
        logits[1] = 1.2;
        assert_eq!(allowed(true, &[8, 1], logits).len(), 9);
    }
}
