//! Drawing tokens by their logits.

use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    op::{Input, want_float},
    tensor::{Generator, Tensor},
};

/// How [`Op::Sample`](crate::op::Op::Sample) draws. The filters work in this order, each on what the one before has left;
/// of equal logits at the edge of a filter all are kept.
///
/// The draw is the maximum of the logits and of Gumbel noise, `-ln(-ln u)` (Gumbel 1954), which has the distribution of their
/// softmax. `u` of token `i` of row `n` is element `n * vocabulary + i` of [`Tensor::rand`] in f32 by the generator of
/// state `(seed, draw)`: counter-based, so that any token's noise is made where it is needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the largest, the first of equals.
    pub temperature: f32,
    /// Keeps this many of the likeliest; 0 keeps all.
    pub top_k: u32,
    /// Keeps the likeliest that together reach this probability; 1 keeps all.
    pub top_p: f32,
    /// Keeps those at least this times as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Of the noise.
    pub seed: u64,
    /// How many draws came before.
    pub draw: u64,
}

impl Sampling {
    /// Is anything filtered, of so many tokens?
    pub(crate) fn filters(&self, tokens: usize) -> bool {
        self.counts(tokens) || self.top_p < 1.0 || self.min_p > 0.0
    }
    /// Does `top_k` leave any out?
    pub(crate) fn counts(&self, tokens: usize) -> bool {
        self.top_k > 0 && (self.top_k as usize) < tokens
    }
}

pub(super) fn infer(inputs: &[Input<'_>]) -> Result<Meta> {
    let (logits, dtype) = inputs[0];
    want_float("sample", dtype)?;
    match logits.dims() {
        &[rows, tokens] if tokens > 0 => Ok(Meta { shape: [rows].into(), dtype: DType::U32 }),
        _ => Err(Error::shape("sample", format!("logits {}: wanted [rows, tokens]", logits.shape()))),
    }
}

pub(super) fn decompose(sampling: &Sampling, logits: &Tensor) -> Result<Tensor> {
    if sampling.temperature == 0.0 {
        return logits.argmax(-1);
    }
    let (rows, tokens) = logits.dims2()?;
    let scaled = logits.to_dtype(DType::F32)?.mul_scalar(1.0 / f64::from(sampling.temperature))?;
    let generator = Generator::new(sampling.seed);
    generator.set_state((sampling.seed, sampling.draw));
    let uniform = Tensor::rand([rows, tokens], DType::F32, logits.device(), &generator)?;
    let noisy = scaled.sub(&uniform.log()?.neg()?.log()?)?;
    if !sampling.filters(tokens) {
        return noisy.argmax(-1);
    }
    let floor = floor(sampling, &scaled, tokens)?.broadcast_to([rows, tokens])?;
    let nothing = Tensor::full(f64::NEG_INFINITY, [rows, tokens], DType::F32, logits.device())?;
    scaled.ge(&floor)?.where_cond(&noisy, &nothing)?.argmax(-1)
}

/// The least logit, divided by the temperature, that the filters keep: `[rows, 1]`.
fn floor(sampling: &Sampling, scaled: &Tensor, tokens: usize) -> Result<Tensor> {
    let (sorted, _) = scaled.sort(-1, true)?;
    let kept = if sampling.counts(tokens) { sampling.top_k as usize } else { tokens };
    let sorted = sorted.narrow(-1, 0, kept)?;
    let mut floor = sorted.narrow(-1, kept - 1, 1)?;
    let top = sorted.narrow(-1, 0, 1)?;
    if sampling.top_p < 1.0 {
        let weights = sorted.sub(&top)?.exp()?;
        // Those whose predecessors have not reached the probability.
        let before = weights.cumsum(-1)?.to_dtype(DType::F32)?.sub(&weights)?;
        let goal = weights.sum_keepdim(-1)?.mul_scalar(f64::from(sampling.top_p))?;
        let kept = before.lt(&goal)?;
        let all = top.broadcast_to(sorted.shape())?;
        floor = kept.where_cond(&sorted, &all)?.min_keepdim(-1)?;
    }
    if sampling.min_p > 0.0 {
        floor = floor.maximum(&top.add_scalar(f64::from(sampling.min_p.ln()))?)?;
    }
    Ok(floor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Device,
        op::Op,
        text::{Sampler, SamplingOptions},
    };

    /// Frequencies of 20,000 draws against the probabilities that the sampler of the CPU computes.
    #[test]
    fn draws_have_the_distribution_of_the_sampler() -> Result<()> {
        let logits: Vec<f32> = (0..23).map(|i| ((i * 7) % 23) as f32 / 4.0 - 2.0).collect();
        let rows = 20_000;
        for (temperature, top_k, top_p, min_p) in
            [(1.0, 0, 1.0, 0.0), (0.7, 8, 1.0, 0.0), (1.3, 0, 0.8, 0.0), (1.0, 0, 1.0, 0.1), (0.9, 12, 0.9, 0.05)]
        {
            let options = SamplingOptions { temperature, top_k, top_p, min_p, ..SamplingOptions::default() };
            let wanted = Sampler::new(options)?.distribution(&logits)?;
            let sampling = Sampling { temperature, top_k, top_p, min_p, seed: 9, draw: 4 };
            let all = Tensor::from_slice(&logits, [23], &Device::cpu())?.broadcast_to([rows, 23])?;
            let found = Tensor::apply(Op::Sample(sampling), &[&all])?.to_vec_sync::<u32>()?;
            let mut seen = 0;
            for (id, p) in wanted {
                let count = found.iter().filter(|&&i| i == id).count();
                seen += count;
                // Five standard deviations of the count.
                let n = rows as f64;
                let off = (count as f64 - n * p).abs();
                assert!(off <= 5.0 * (n * p * (1.0 - p)).sqrt() + 1.0, "{sampling:?}: {count} times {id}, p {p}");
            }
            assert_eq!(seen, rows, "{sampling:?}: tokens that the filters leave out");
        }
        Ok(())
    }
}
