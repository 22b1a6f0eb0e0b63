//! One answer, a short step at a time.

use super::{
    draw::DeviceSampler,
    generator::{GenerateOptions, Model, Slot, busy},
};
use crate::{
    backend::Reading,
    error::{Error, Result},
    nn::KvCache,
    tensor::Tensor,
    text::{DetokenizeStream, Sampler, StopMatcher},
};
use serde::Serialize;
use std::{
    ops::Range,
    sync::{Arc, PoisonError},
};

/// Tokens drawn before the one before them is known: enough for the device to be busy while the host reads.
pub(super) const AHEAD: usize = 2;

/// Memory is set aside for answers of at most so many tokens before they are generated.
const MOST_RESERVED: usize = 2048;

/// Keys and values of a conversation, and the tokens that they are of.
pub(super) struct Session {
    cache: KvCache,
    /// As many as the cache holds, but while a device draws ahead: then it may hold more or one less.
    ids: Vec<u32>,
    /// Which of them were computed together as parts of prompts, in order; the rest were generated one by one.
    chunks: Vec<Range<usize>>,
}

impl Session {
    pub fn new(cache: KvCache) -> Self {
        Self { cache, ids: Vec::new(), chunks: Vec::new() }
    }
    /// Forgets what was computed of tokens that are not part of the conversation.
    fn settle(&mut self) {
        self.cache.truncate(self.ids.len());
        self.ids.truncate(self.cache.len());
    }
    pub fn clear(&mut self) {
        self.cache.clear();
        self.ids.clear();
        self.chunks.clear();
    }
    /// Keeps what `prompt` begins with, all but its last token, which must be computed to have something to go on from.
    ///
    /// A part of a prompt is kept whole or not at all: kernels for other numbers of rows round differently, and so the
    /// same prompt is computed in the same way each time, to the same bits.
    fn reuse(&mut self, prompt: &[u32]) -> usize {
        let common = self.ids.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let mut kept = common.min(prompt.len().saturating_sub(1));
        if let Some(cut) = self.chunks.iter().find(|chunk| chunk.contains(&kept)) {
            kept = cut.start;
        }
        self.chunks.retain(|chunk| chunk.end <= kept);
        self.cache.truncate(kept);
        self.ids.truncate(kept);
        kept
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model said so.
    Eos,
    /// A stop text or stop token came up.
    Stop,
    /// `max_tokens` are generated, or the context is full.
    Length,
}

/// Counts and times of one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationStats {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of those, how many were known from the conversation before and not computed.
    pub cached_tokens: usize,
    /// Tokens generated, not counting one that ended the answer.
    pub generated_tokens: usize,
    /// Milliseconds for the prompt, until its first token is there.
    pub prefill_ms: f64,
    /// Milliseconds for all tokens after the first: the first comes out of the prompt's computation.
    pub decode_ms: f64,
    /// Bytes that weights and cache hold.
    pub memory_bytes: u64,
}

impl GenerationStats {
    /// Prompt tokens computed per second; 0 when none were.
    pub fn prefill_tokens_per_second(&self) -> f64 {
        per_second(self.prompt_tokens - self.cached_tokens, self.prefill_ms)
    }
    /// Tokens generated per second; 0 for answers of less than two tokens.
    pub fn decode_tokens_per_second(&self) -> f64 {
        per_second(self.generated_tokens.saturating_sub(1), self.decode_ms)
    }
}

fn per_second(count: usize, ms: f64) -> f64 {
    if ms > 0.0 { count as f64 * 1e3 / ms } else { 0.0 }
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Step {
    /// A part of the prompt was computed.
    Prefill {
        /// Prompt tokens that are known now.
        done: usize,
        /// All prompt tokens.
        total: usize,
    },
    /// A token was generated.
    Token {
        /// Its id.
        id: u32,
        /// The text that is certain now: empty while a character is unfinished or a stop text may have begun.
        text: String,
    },
    /// The answer has ended.
    Done {
        /// Why.
        reason: FinishReason,
        /// Text that was held back until now; to be added to that of the tokens.
        text: String,
        /// Counts and times.
        stats: GenerationStats,
    },
}

enum State {
    /// The prompt is being computed.
    Prefill,
    /// These logits wait to be read and sampled from.
    Sample(Tensor),
    /// This token was generated and is to be computed.
    Decode(u32),
    /// The device draws tokens, and computes on with them before they are known here.
    Ahead,
    /// The last token was given out; what is left is to say so.
    Ending(FinishReason),
    /// [`Step::Done`] was given out, or a step failed.
    Ended,
}

/// An answer being generated. One at a time per model; when it has ended or is dropped, the model takes the next prompt.
///
/// Natively it is also an iterator over its steps.
pub struct Generation {
    model: Arc<Model>,
    slot: Slot,
    /// `None` once the answer has ended.
    session: Option<Session>,
    prompt: Vec<u32>,
    state: State,
    sampler: Sampler,
    /// Draws instead of `sampler` where it can.
    device_sampler: Option<DeviceSampler>,
    /// Comes when the device has computed the last part of the prompt but one.
    computed: Option<Reading>,
    detokenizer: DetokenizeStream,
    stops: StopMatcher,
    stop_tokens: Vec<u32>,
    ignore_eos: bool,
    max_tokens: usize,
    stats: GenerationStats,
}

impl Generation {
    pub(super) fn start(model: Arc<Model>, slot: Slot, prompt: Vec<u32>, options: &GenerateOptions) -> Result<Self> {
        let op = "generate";
        let context = model.info.context_length;
        if prompt.is_empty() {
            return Err(Error::argument(op, "the prompt is empty"));
        }
        if prompt.len() >= context {
            let message =
                format!("the prompt has {} tokens, the context holds {context} with the answer", prompt.len());
            return Err(Error::argument(op, message));
        }
        if let Some(id) = prompt.iter().find(|&&id| id as usize >= model.info.vocab_size) {
            return Err(Error::argument(op, format!("token {id} in a vocabulary of {}", model.info.vocab_size)));
        }
        let mut sampler = Sampler::new(options.sampling.clone())?;
        sampler.accept_prompt(&prompt);
        let detokenizer = DetokenizeStream::after(&model.tokenizer, prompt.last().copied());
        let taken = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut session = taken.ok_or_else(|| busy(op))?;
        let cached_tokens = session.reuse(&prompt);
        let decoder = &model.decoder;
        let device_sampler = DeviceSampler::new(&options.sampling, &prompt, model.info.vocab_size, decoder.device());
        let expected = prompt.len().saturating_add(options.max_tokens.unwrap_or(0).min(MOST_RESERVED)).min(context);
        let prepared = device_sampler.and_then(|sampler| {
            if sampler.is_some() {
                decoder.reserve(expected, &mut session.cache)?;
            }
            Ok(sampler)
        });
        let device_sampler = match prepared {
            Ok(sampler) => sampler,
            Err(error) => {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
                return Err(error);
            }
        };
        let stats = GenerationStats { prompt_tokens: prompt.len(), cached_tokens, ..GenerationStats::default() };
        Ok(Self {
            stops: StopMatcher::new(&options.stop),
            stop_tokens: options.stop_tokens.clone(),
            ignore_eos: options.ignore_eos,
            max_tokens: options.max_tokens.unwrap_or(usize::MAX),
            session: Some(session),
            state: State::Prefill,
            model,
            slot,
            prompt,
            sampler,
            device_sampler,
            computed: None,
            detokenizer,
            stats,
        })
    }

    /// Computes a part of the prompt, or the next token.
    ///
    /// # Errors
    /// [`Error::Argument`] after the end; whatever the model reports otherwise, which ends the generation. The model
    /// stays usable.
    pub async fn step(&mut self) -> Result<Step> {
        let start = (self.model.clock)();
        // A GPU computes the prompt while its first token is waited for.
        let prefilling = self.stats.generated_tokens == 0;
        let result = self.advance().await;
        let elapsed = (self.model.clock)() - start;
        *(if prefilling { &mut self.stats.prefill_ms } else { &mut self.stats.decode_ms }) += elapsed;
        let result = result.map(|step| match step {
            // Filled in here, so that the last step's time is in it.
            Step::Done { reason, text, .. } => Step::Done { reason, text, stats: self.stats() },
            step => step,
        });
        if result.is_err() || matches!(result, Ok(Step::Done { .. })) {
            self.state = State::Ended;
            self.release();
        }
        result
    }

    /// Counts and times so far.
    pub fn stats(&self) -> GenerationStats {
        let cache = self.session.as_ref().map_or(0, |s| s.cache.bytes() as u64);
        GenerationStats { memory_bytes: self.model.info.weight_bytes + cache, ..self.stats.clone() }
    }

    /// Token ids of the prompt.
    pub fn prompt_ids(&self) -> &[u32] {
        &self.prompt
    }

    async fn advance(&mut self) -> Result<Step> {
        match self.state {
            State::Prefill => {
                let done = self.session()?.ids.len();
                let end = self.prompt.len().min(done + self.model.prefill_chunk);
                let chunk = self.prompt[done..end].to_vec();
                #[cfg(feature = "webgpu")]
                self.prepared(chunk.len()).await?;
                let logits = self.forward(&chunk)?;
                if let Some(session) = &mut self.session {
                    session.chunks.push(done..end);
                }
                if end == self.prompt.len() {
                    self.state = match &mut self.device_sampler {
                        _ if self.max_tokens == 0 => State::Ending(FinishReason::Length),
                        Some(sampler) => {
                            sampler.draw(&logits)?;
                            State::Ahead
                        }
                        None => State::Sample(logits),
                    };
                } else if self.device_sampler.is_some() {
                    // The device begins with it now, and is no more than a part behind: what is told of the progress is so, and
                    // who aborts has no long work left behind.
                    let part = logits.narrow(-1, 0, 1)?.reading();
                    if let Some(before) = self.computed.replace(part) {
                        before.await?;
                    }
                }
                return Ok(Step::Prefill { done: end, total: self.prompt.len() });
            }
            State::Decode(id) => {
                let logits = self.forward(&[id])?;
                self.state = State::Sample(logits);
            }
            State::Ahead => self.run_ahead()?,
            State::Sample(_) | State::Ending(_) | State::Ended => {}
        }
        match &self.state {
            State::Sample(logits) => {
                let logits = logits.to_vec::<f32>().await?;
                let id = self.sampler.sample(&logits)?;
                self.token(id)
            }
            State::Ahead => match &mut self.device_sampler {
                Some(sampler) => {
                    let id = sampler.next().await?;
                    self.token(id)
                }
                None => Err(ended()),
            },
            &State::Ending(reason) => self.finish(reason),
            _ => Err(Error::argument("step", "this generation has ended")),
        }
    }

    /// Waits for the programs that a part of the prompt, or the answer behind it, needs.
    #[cfg(feature = "webgpu")]
    async fn prepared(&self, tokens: usize) -> Result<()> {
        use super::rehearse::Stage;
        let stage = match &self.device_sampler {
            Some(sampler) if !sampler.is_greedy() => Stage::Draw,
            _ if tokens > crate::backend::webgpu::FEW_ROWS => Stage::Prompt,
            _ => Stage::Answer,
        };
        self.model.preparing.ready(stage as usize).await
    }

    /// Takes in a token that was sampled.
    fn token(&mut self, id: u32) -> Result<Step> {
        if self.stop_tokens.contains(&id) {
            return self.finish(FinishReason::Stop);
        }
        if !self.ignore_eos && self.model.tokenizer.eos_ids().contains(&id) {
            return self.finish(FinishReason::Eos);
        }
        let ahead = self.device_sampler.is_some();
        if ahead {
            self.session.as_mut().ok_or_else(ended)?.ids.push(id);
        } else {
            self.sampler.accept(id);
        }
        self.stats.generated_tokens += 1;
        let text = self.detokenizer.push(&self.model.tokenizer, id)?;
        let step = self.stops.push(&text);
        // The last token of the context is given out, but not computed with.
        let full = self.prompt.len() + self.stats.generated_tokens > self.model.info.context_length;
        self.state = if step.stop.is_some() {
            State::Ending(FinishReason::Stop)
        } else if self.stats.generated_tokens >= self.max_tokens || full {
            State::Ending(FinishReason::Length)
        } else if ahead {
            State::Ahead
        } else {
            State::Decode(id)
        };
        Ok(Step::Token { id, text: step.text })
    }

    fn finish(&mut self, reason: FinishReason) -> Result<Step> {
        self.state = State::Ended;
        let rest = self.detokenizer.finish(&self.model.tokenizer)?;
        let last = self.stops.push(&rest);
        let text = last.text + &self.stops.finish();
        Ok(Step::Done { reason, text, stats: GenerationStats::default() })
    }

    fn forward(&mut self, ids: &[u32]) -> Result<Tensor> {
        let Some(session) = &mut self.session else { return Err(ended()) };
        let result = self.model.decoder.forward(ids, &mut session.cache);
        match &result {
            Ok(_) => session.ids.extend_from_slice(ids),
            // The decoder has emptied the cache: it may have been written in part.
            Err(_) => session.clear(),
        }
        result
    }

    /// Has the device compute and draw until it is [`AHEAD`] tokens ahead of the next one that is given out, or has drawn all
    /// that there can be.
    fn run_ahead(&mut self) -> Result<()> {
        let (Some(session), Some(sampler)) = (&mut self.session, &mut self.device_sampler) else { return Err(ended()) };
        while sampler.ahead() <= AHEAD
            && self.stats.generated_tokens + sampler.ahead() < self.max_tokens
            && session.cache.len() < self.model.info.context_length
        {
            let Some(last) = sampler.last() else { return Err(ended()) };
            let logits = self.model.decoder.forward_ids(last, &mut session.cache);
            match logits.and_then(|logits| sampler.draw(&logits)) {
                Ok(()) => {}
                Err(error) => {
                    session.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Gives the session back, so that the model can take the next prompt.
    fn release(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.settle();
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        }
    }

    fn session(&self) -> Result<&Session> {
        self.session.as_ref().ok_or_else(ended)
    }
}

fn ended() -> Error {
    Error::argument("step", "this generation has ended")
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Iterator for Generation {
    type Item = Result<Step>;
    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Ended) {
            return None;
        }
        Some(pollster::block_on(self.step()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_prompt_begins_with_is_kept_by_whole_parts() {
        // A prompt of 5 tokens in parts of 3 and 2, 4 tokens generated, and a second turn of 2.
        let kept = |prompt: &[u32]| {
            let ids = (0..11).collect();
            let mut session = Session { cache: KvCache::new(1), ids, chunks: vec![0..3, 3..5, 9..11] };
            let kept = session.reuse(prompt);
            assert!(session.ids.len() == kept && session.chunks.iter().all(|c| c.end <= kept));
            kept
        };
        let upto = |n: u32| (0..n).collect::<Vec<_>>();
        assert_eq!(kept(&upto(5)), 3, "the first prompt again");
        assert_eq!(kept(&[0, 1, 99]), 0);
        assert_eq!(kept(&[0, 1, 2, 99, 100]), 3);
        assert_eq!(kept(&[0, 1, 2, 3, 4, 99]), 5, "another answer");
        assert_eq!(kept(&[0, 1, 2, 3, 4, 5, 6, 99]), 7, "a part of the answer");
        assert_eq!(kept(&upto(11)), 9, "the second prompt again");
        assert_eq!(kept(&upto(12)), 11);
        assert_eq!(kept(&[99]), 0);
    }
}
