//! Decoding one window: greedy, sampled (best of several) or beam search, a token at a time, as OpenAI's implementation does.

use super::{
    repetition::{compression_ratio, repeated_tail},
    rules::{Rules, log_sum_exp},
    tokens::Tokens,
};
use crate::{
    error::Result,
    models::whisper::{CrossKeys, Whisper},
    nn::KvCache,
    tensor::Tensor,
    text::{Rng, Tokenizer},
};
use std::cmp::Ordering;

/// How one window is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strategy {
    pub temperature: f32,
    /// Texts followed at once: beams at temperature 0, samples above.
    pub width: usize,
    pub beam: bool,
    pub patience: f32,
    pub length_penalty: Option<f32>,
    pub timestamps: bool,
    /// Most tokens.
    pub limit: usize,
}

/// What was decoded.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    /// Without the prompt and without the end.
    pub tokens: Vec<u32>,
    pub average_log_probability: f64,
    pub no_speech_probability: f64,
    pub compression_ratio: f64,
    pub temperature: f32,
    /// It had begun to repeat itself and was stopped; the repetitions are cut off.
    pub looped: bool,
}

#[derive(Clone, Debug, Default)]
struct Candidate {
    tokens: Vec<u32>,
    log_probability: f64,
    looped: bool,
}

/// The decoding of one window, between two steps.
pub(super) struct Decoding {
    strategy: Strategy,
    cache: KvCache,
    /// What the next step runs: the prompt at first, then the last token of each live text.
    next: Vec<u32>,
    prompt_len: usize,
    start_at: usize,
    /// Tokens that were given, of those that the texts begin with.
    given: usize,
    no_speech_probability: f64,
    live: Vec<Candidate>,
    done: Vec<Candidate>,
    rng: Rng,
}

impl Decoding {
    /// `prompt` ends with the tokens that begin a text; the first of those is at `start_at`. The text begins with `given`.
    pub fn new(
        model: &Whisper,
        mut prompt: Vec<u32>,
        start_at: usize,
        given: &[u32],
        strategy: Strategy,
        seed: u64,
    ) -> Self {
        let prompt_len = prompt.len();
        prompt.extend(given);
        let text = Candidate { tokens: given.to_vec(), ..Candidate::default() };
        Self {
            cache: model.new_cache(),
            prompt_len,
            given: given.len(),
            next: prompt,
            start_at,
            no_speech_probability: f64::NAN,
            live: vec![text; strategy.width.max(1)],
            done: Vec::new(),
            rng: Rng::new(seed),
            strategy,
        }
    }

    /// Tokens said so far.
    pub fn len(&self) -> usize {
        self.said().len()
    }
    /// The likeliest text so far, while there is one that has not ended.
    pub fn said(&self) -> &[u32] {
        self.live.first().map_or(&[], |c| &c.tokens)
    }

    /// Runs one step of the model; `false` when all is said.
    pub async fn step(&mut self, model: &Whisper, cross: &CrossKeys, tokens: &Tokens) -> Result<bool> {
        let first = self.cache.is_empty();
        let batch = if first { 1 } else { self.live.len() };
        let hidden = model.decode(&self.next, batch, cross, &mut self.cache)?;
        let rows = hidden.dims()[0];
        let mut logits = if first {
            if let Some(no_speech) = tokens.no_speech {
                let logits = model.logits(&hidden.narrow(0, self.start_at, 1)?)?.to_vec::<f32>().await?;
                let probability = logits.get(no_speech as usize).map(|&l| f64::from(l - log_sum_exp(&logits)).exp());
                self.no_speech_probability = probability.unwrap_or(f64::NAN);
            }
            // All texts begin with the same row.
            let one = model.logits(&hidden.narrow(0, rows - 1, 1)?)?.to_vec::<f32>().await?;
            self.keep_texts(&vec![0; self.live.len()], model)?;
            one.repeat(self.live.len())
        } else {
            model.logits(&hidden)?.to_vec::<f32>().await?
        };
        let rules = Rules { tokens, timestamps: self.strategy.timestamps };
        let vocab = logits.len() / self.live.len();
        for (row, text) in logits.chunks_exact_mut(vocab).zip(&self.live) {
            rules.apply(row, &text.tokens);
        }
        let order = match self.strategy.beam {
            true => self.extend_beams(&logits, vocab, tokens.end),
            false => self.extend_texts(&logits, vocab, tokens.end),
        };
        let most = model.config().max_target_positions;
        let said = self.len();
        if self.live.is_empty() || said >= self.strategy.limit || self.prompt_len + said > most {
            return Ok(false);
        }
        if self.strategy.beam && self.done.len() >= self.wanted() {
            return Ok(false);
        }
        self.keep_texts(&order, model)?;
        self.next = self.live.iter().filter_map(|c| c.tokens.last().copied()).collect();
        Ok(true)
    }

    /// Finished texts after which beam search ends.
    fn wanted(&self) -> usize {
        ((self.strategy.width as f32 * self.strategy.patience).round() as usize).max(1)
    }

    /// Makes the cache's texts those that the live ones came from.
    fn keep_texts(&mut self, order: &[u32], model: &Whisper) -> Result<()> {
        let same = order.iter().enumerate().all(|(i, &from)| i == from as usize);
        if same && (order.len() == self.next.len() || order.len() == 1 && self.strategy.width == 1) {
            return Ok(());
        }
        self.cache.reorder(&Tensor::from_slice(order, [order.len()], model.device())?)
    }

    /// Each live text says its likeliest token, or one drawn by chance; gives which texts go on.
    fn extend_texts(&mut self, logits: &[f32], vocab: usize, end: u32) -> Vec<u32> {
        let mut order = Vec::new();
        for (i, (mut text, row)) in
            std::mem::take(&mut self.live).into_iter().zip(logits.chunks_exact(vocab)).enumerate()
        {
            let id = match self.strategy.temperature {
                t if t > 0.0 => draw(row, t, &mut self.rng),
                _ => likeliest(row),
            };
            text.log_probability += f64::from(row[id] - log_sum_exp(row));
            if id as u32 == end {
                self.done.push(text);
                continue;
            }
            text.tokens.push(id as u32);
            if let Some(kept) = repeated_tail(&text.tokens, end) {
                text.tokens.truncate(kept);
                text.looped = true;
                self.done.push(text);
                continue;
            }
            order.push(i as u32);
            self.live.push(text);
        }
        order
    }

    /// The likeliest continuations of all beams together; gives which beam each came from.
    fn extend_beams(&mut self, logits: &[f32], vocab: usize, end: u32) -> Vec<u32> {
        let width = self.strategy.width;
        let mut candidates: Vec<(f64, usize, u32)> = Vec::new();
        for (from, (text, row)) in self.live.iter().zip(logits.chunks_exact(vocab)).enumerate() {
            // At the beginning all beams are the same text.
            if self.live[..from].iter().any(|other| other.tokens == text.tokens) {
                continue;
            }
            let total = log_sum_exp(row);
            let best = top(row, width + 1).into_iter();
            candidates.extend(best.map(|id| (text.log_probability + f64::from(row[id] - total), from, id as u32)));
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut live, mut order, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for (log_probability, from, id) in candidates {
            let parent = &self.live[from];
            if id == end {
                ended.push(Candidate { tokens: parent.tokens.clone(), log_probability, looped: false });
                continue;
            }
            let mut tokens = parent.tokens.clone();
            tokens.push(id);
            if let Some(kept) = repeated_tail(&tokens, end) {
                tokens.truncate(kept);
                ended.push(Candidate { tokens, log_probability, looped: true });
                continue;
            }
            live.push(Candidate { tokens, log_probability, looped: false });
            order.push(from as u32);
            if live.len() == width {
                break;
            }
        }
        let room = self.wanted().saturating_sub(self.done.len());
        self.done.extend(ended.into_iter().take(room));
        self.live = live;
        order
    }

    /// The best text.
    pub fn finish(mut self, tokenizer: &Tokenizer, tokens: &Tokens) -> Result<Decoded> {
        // Texts that did not come to an end count in beam search only as far as there are too few that did.
        let missing = if self.strategy.beam { self.strategy.width.saturating_sub(self.done.len()) } else { usize::MAX };
        self.live.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
        self.done.extend(self.live.drain(..).take(missing));
        let score = |c: &Candidate| {
            let length = c.tokens.len().saturating_sub(self.given) as f64;
            match self.strategy.length_penalty {
                // Wu et al. 2016
                Some(alpha) => c.log_probability / ((5.0 + length) / 6.0).powf(f64::from(alpha)),
                None => c.log_probability / length.max(1.0),
            }
        };
        // The first of equals.
        let best =
            self.done.iter().reduce(|a, b| if score(b).total_cmp(&score(a)) == Ordering::Greater { b } else { a });
        let best = best.cloned().unwrap_or_default();
        let words: Vec<u32> = best.tokens.iter().copied().filter(|&id| id < tokens.end).collect();
        let text = tokenizer.decode(&words, true)?;
        Ok(Decoded {
            average_log_probability: best.log_probability / (best.tokens.len().saturating_sub(self.given) + 1) as f64,
            no_speech_probability: self.no_speech_probability,
            compression_ratio: compression_ratio(text.trim()),
            temperature: self.strategy.temperature,
            looped: best.looped,
            tokens: best.tokens,
        })
    }
}

/// Index of the largest, the first of equals.
pub(super) fn likeliest(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    best
}

/// Indices of the `count` largest, largest first.
fn top(row: &[f32], count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(count + 1);
    for (i, &v) in row.iter().enumerate() {
        if v == f32::NEG_INFINITY || best.len() == count && best.last().is_some_and(|&last| v <= row[last]) {
            continue;
        }
        let at = best.partition_point(|&b| row[b] >= v);
        best.insert(at, i);
        best.truncate(count);
    }
    best
}

/// Draws an index with the probabilities of `row / temperature`.
fn draw(row: &[f32], temperature: f32, rng: &mut Rng) -> usize {
    let highest = row[likeliest(row)];
    let weight = |v: f32| f64::from((v - highest) / temperature).exp();
    let total: f64 = row.iter().map(|&v| weight(v)).sum();
    let mut left = rng.next_f64() * total;
    for (i, &v) in row.iter().enumerate() {
        left -= weight(v);
        if left < 0.0 {
            return i;
        }
    }
    likeliest(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_in_order() {
        let row = [1.0, 5.0, f32::NEG_INFINITY, 5.0, 3.0, 2.0];
        assert_eq!((likeliest(&row), top(&row, 3), top(&row, 9)), (1, vec![1, 3, 4], vec![1, 3, 4, 5, 0]));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let row = [0.0, 3f32.ln(), f32::NEG_INFINITY];
        let mut rng = Rng::new(1);
        let ones = (0..4000).filter(|_| draw(&row, 1.0, &mut rng) == 1).count();
        assert!((2900..3100).contains(&ones), "{ones} of 4000, 3000 expected");
        // At half the temperature odds of 3 are odds of 9.
        let ones = (0..4000).filter(|_| draw(&row, 0.5, &mut rng) == 1).count();
        assert!((3520..3680).contains(&ones), "{ones} of 4000, 3600 expected");
    }
}
