//! Choosing the next token from logits.

use super::{Rng, SamplingOptions};
use crate::error::{Error, Result};
use std::{
    cmp::Ordering,
    collections::{HashMap, VecDeque},
};

/// A token that may be drawn.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    /// Logit divided by the temperature.
    logit: f32,
    /// Probability among the candidates that are left, not normalised.
    weight: f64,
}

/// Likelier first; among equals the lower id, so that the order never depends on how it was found.
fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// Draws tokens from logits after [`SamplingOptions`].
pub struct Sampler {
    options: SamplingOptions,
    seed: u64,
    rng: Rng,
    /// Tokens within the repetition window, oldest first, and how often each is there.
    recent: VecDeque<u32>,
    recent_counts: HashMap<u32, u32>,
    /// How often each token is in the answer.
    answer_counts: HashMap<u32, u32>,
    logits: Vec<f32>,
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// A sampler with an empty history.
    ///
    /// # Errors
    /// [`Error::Argument`] for an option out of its range.
    pub fn new(options: SamplingOptions) -> Result<Self> {
        options.check()?;
        let seed = options.seed.unwrap_or_else(Rng::entropy);
        Ok(Self {
            rng: Rng::new(seed),
            seed,
            options,
            recent: VecDeque::new(),
            recent_counts: HashMap::new(),
            answer_counts: HashMap::new(),
            logits: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// The seed in use: that of the options, or the one taken in its place.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Tells the sampler the prompt, which `repetition_penalty` counts as said.
    pub fn accept_prompt(&mut self, ids: &[u32]) {
        ids.iter().for_each(|&id| self.remember(id));
    }

    /// Tells the sampler that `id` is now part of the answer.
    pub fn accept(&mut self, id: u32) {
        self.remember(id);
        *self.answer_counts.entry(id).or_default() += 1;
    }

    fn remember(&mut self, id: u32) {
        if self.options.repetition_penalty == 1.0 {
            return;
        }
        *self.recent_counts.entry(id).or_default() += 1;
        let window = self.options.repetition_window as usize;
        if window == 0 {
            return;
        }
        self.recent.push_back(id);
        if self.recent.len() > window
            && let Some(old) = self.recent.pop_front()
            && let Some(count) = self.recent_counts.get_mut(&old)
        {
            *count -= 1;
            if *count == 0 {
                self.recent_counts.remove(&old);
            }
        }
    }

    /// Chooses a token by its logit, one for each token of the vocabulary. It does not enter the history before
    /// [`Sampler::accept`].
    ///
    /// # Errors
    /// [`Error::Argument`] when there are no logits, one is NaN or +∞, or all are −∞.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32> {
        self.adjust(logits);
        if self.options.temperature == 0.0 {
            let logits = if self.logits.is_empty() { logits } else { &self.logits };
            return argmax(logits);
        }
        self.filter(logits)?;
        let total: f64 = self.candidates.iter().map(|c| c.weight).sum();
        let mut rest = self.rng.next_f64() * total;
        let drawn = self.candidates.iter().find(|c| {
            rest -= c.weight;
            rest < 0.0
        });
        // Rounding may leave a sliver of `rest`: then the last token that has any weight is meant.
        let drawn = drawn.or_else(|| self.candidates.iter().rfind(|c| c.weight > 0.0));
        drawn.map(|c| c.id).ok_or_else(|| Error::argument("sample", "no token has any probability"))
    }

    /// The tokens that the next draw would choose from and their probabilities, likeliest first unless nothing
    /// filters. With temperature 0 it is one token.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn distribution(&mut self, logits: &[f32]) -> Result<Vec<(u32, f64)>> {
        if self.options.temperature == 0.0 {
            return Ok(vec![(self.sample(logits)?, 1.0)]);
        }
        self.adjust(logits);
        self.filter(logits)?;
        let total: f64 = self.candidates.iter().map(|c| c.weight).sum();
        Ok(self.candidates.iter().map(|c| (c.id, c.weight / total)).collect())
    }

    /// Bias and penalties, into `self.logits`; left empty when there are none.
    fn adjust(&mut self, logits: &[f32]) {
        self.logits.clear();
        let SamplingOptions { repetition_penalty, frequency_penalty, presence_penalty, .. } = self.options;
        let counted = frequency_penalty != 0.0 || presence_penalty != 0.0;
        if self.options.logit_bias.is_empty() && repetition_penalty == 1.0 && !counted {
            return;
        }
        self.logits.extend_from_slice(logits);
        for (&id, bias) in &self.options.logit_bias {
            if let Some(logit) = self.logits.get_mut(id as usize) {
                *logit += bias;
            }
        }
        for &id in self.recent_counts.keys() {
            if let Some(logit) = self.logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 { *logit / repetition_penalty } else { *logit * repetition_penalty };
            }
        }
        if counted {
            for (&id, &count) in &self.answer_counts {
                if let Some(logit) = self.logits.get_mut(id as usize) {
                    *logit -= frequency_penalty * count as f32 + presence_penalty;
                }
            }
        }
    }

    /// Fills `self.candidates` with the tokens that every filter leaves, and their weights.
    fn filter(&mut self, logits: &[f32]) -> Result<()> {
        let logits = if self.logits.is_empty() { logits } else { &self.logits };
        let max = logits[argmax(logits)? as usize];
        let scale = 1.0 / self.options.temperature;
        let SamplingOptions { top_k, top_p, min_p, typical_p, .. } = self.options;
        let all = logits.iter().enumerate();
        let all = all.map(|(i, &l)| Candidate { id: i as u32, logit: l, weight: 0.0 });
        let candidates = &mut self.candidates;
        candidates.clear();
        match top_k as usize {
            k if k > 0 && k < logits.len() => likeliest(all, k, candidates),
            _ => candidates.extend(all),
        }
        for c in candidates.iter_mut() {
            // Relative to the largest: exp cannot overflow, and a tiny temperature leaves one token.
            c.logit = (c.logit - max) * scale;
            c.weight = f64::from(c.logit).exp();
        }
        if top_p < 1.0 {
            keep_mass(candidates, top_p.into(), likelier);
        }
        if min_p > 0.0 {
            candidates.retain(|c| c.weight >= f64::from(min_p)); // the likeliest weighs 1
        }
        if typical_p < 1.0 {
            keep_typical(candidates, typical_p.into());
        }
        Ok(())
    }
}

/// The likeliest token, the first among equals.
fn argmax(logits: &[f32]) -> Result<u32> {
    // Lane by lane, which compiles to vector code; NaN in a lane stays there. Then the piece that holds the largest is searched.
    const PIECE: usize = 1024;
    let largest = |piece: &[f32]| {
        let mut lanes = [f32::NEG_INFINITY; 16];
        let (chunks, rest) = piece.as_chunks::<16>();
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(top, &v)| *top = if v > *top || v.is_nan() { v } else { *top });
        }
        lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |top, &v| if v > top || v.is_nan() { v } else { top })
    };
    let mut best = (0, f32::NEG_INFINITY);
    for (i, piece) in logits.chunks(PIECE).enumerate() {
        let top = largest(piece);
        if let Some(at) = piece.iter().position(|v| v.is_nan()).filter(|_| top.is_nan()) {
            return Err(Error::argument("sample", format!("the logit of token {} is NaN", i * PIECE + at)));
        }
        if top > best.1 {
            best = (i * PIECE + piece.iter().position(|&v| v == top).unwrap_or(0), top);
        }
    }
    match best.1 {
        f32::INFINITY => Err(Error::argument("sample", format!("the logit of token {} is infinite", best.0))),
        f32::NEG_INFINITY => {
            Err(Error::argument("sample", format!("none of the {} logits is over -Infinity", logits.len())))
        }
        _ => Ok(best.0 as u32),
    }
}

/// The `k` likeliest, sorted. One comparison for nearly every token: only those above the worst kept so far enter.
fn likeliest(all: impl Iterator<Item = Candidate>, k: usize, out: &mut Vec<Candidate>) {
    let room = (2 * k).max(64);
    let mut worst = f32::NEG_INFINITY;
    for candidate in all {
        if candidate.logit > worst || (out.len() < k && candidate.logit == worst) {
            out.push(candidate);
            if out.len() == room {
                out.select_nth_unstable_by(k - 1, likelier);
                out.truncate(k);
                worst = out[k - 1].logit;
            }
        }
    }
    out.sort_unstable_by(likelier);
    out.truncate(k);
}

/// Keeps the fewest candidates, in `order`, that together reach `mass` of the whole weight. Sorts no more than it needs.
fn keep_mass(candidates: &mut Vec<Candidate>, mass: f64, order: impl Fn(&Candidate, &Candidate) -> Ordering) {
    let goal = mass * candidates.iter().map(|c| c.weight).sum::<f64>();
    let (mut sorted, mut reached, mut step) = (0, 0.0, 256);
    while sorted < candidates.len() {
        let rest = &mut candidates[sorted..];
        let n = step.min(rest.len());
        if n < rest.len() {
            rest.select_nth_unstable_by(n - 1, &order);
        }
        rest[..n].sort_unstable_by(&order);
        for (i, c) in rest[..n].iter().enumerate() {
            reached += c.weight;
            if reached >= goal {
                candidates.truncate(sorted + i + 1);
                return;
            }
        }
        sorted += n;
        step *= 4;
    }
}

/// Locally typical sampling: those whose surprise −ln p is nearest to the entropy, until they reach `mass`.
fn keep_typical(candidates: &mut Vec<Candidate>, mass: f64) {
    let total: f64 = candidates.iter().map(|c| c.weight).sum();
    let log_total = total.ln();
    let surprise = |c: &Candidate| log_total - f64::from(c.logit);
    let entropy: f64 = candidates.iter().filter(|c| c.weight > 0.0).map(|c| c.weight / total * surprise(c)).sum();
    let distance = |c: &Candidate| (surprise(c) - entropy).abs();
    keep_mass(candidates, mass, |a, b| distance(a).total_cmp(&distance(b)).then(likelier(a, b)));
    candidates.sort_unstable_by(likelier);
}
