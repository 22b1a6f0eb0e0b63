//! Rotary position embedding (Su et al. 2021) and the ways models stretch it to longer contexts.

use super::{RmsNorm, fused};
use crate::{
    device::Device,
    error::{Error, Result},
    op::{Heads, Op, RopeLayout},
    tensor::Tensor,
};
use std::{
    f64::consts::PI,
    sync::{Mutex, PoisonError},
};

/// How the frequencies `base^(-2i/d)` are changed for contexts longer than those trained on.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    #[default]
    None,
    /// All frequencies divided by `factor` (Chen et al. 2023, position interpolation).
    Linear {
        /// How many times longer the context is.
        factor: f64,
    },
    /// The base grows with the sequence once it is longer than `original` (dynamic NTK). Keys already in a cache keep
    /// the base of their time, as in the reference implementation.
    Dynamic {
        /// How many times longer the context may get.
        factor: f64,
        /// Context length trained on.
        original: usize,
    },
    /// Low frequencies divided by `factor`, high ones kept, a smooth ramp between (Llama 3.1).
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths over `original / low_freq_factor` are scaled in full.
        low_freq_factor: f64,
        /// Wavelengths under `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length trained on.
        original: usize,
    },
    /// YaRN (Peng et al. 2023): a ramp between interpolated and kept frequencies, and a factor on cos and sin.
    Yarn {
        /// How many times longer the context is.
        factor: f64,
        /// Context length trained on.
        original: usize,
        /// Rotations over `original` above which a frequency is kept.
        beta_fast: f64,
        /// Rotations over `original` below which a frequency is scaled in full.
        beta_slow: f64,
        /// Factor on cos and sin.
        attention_factor: f64,
    },
    /// One divisor per frequency, one list for sequences up to `original` and one for longer ones (Ding et al. 2024; Phi-3).
    LongRope {
        /// Divisors for sequences up to `original`.
        short: Vec<f64>,
        /// Divisors for longer ones.
        long: Vec<f64>,
        /// Context length trained on.
        original: usize,
        /// Factor on cos and sin.
        attention_factor: f64,
    },
    /// One divisor per frequency (`rope_freqs.weight` in GGUF files).
    Factors(Vec<f64>),
}

/// `cos` and `sin`, each `[positions, dims / 2]`, of the positions of one forward pass.
#[derive(Clone)]
pub struct RopeTables {
    cos: Tensor,
    sin: Tensor,
    layout: RopeLayout,
}

impl RopeTables {
    /// Rotates `x` `[.., positions, size]`, whose size is at least that of the angles' pairs.
    ///
    /// # Errors
    /// When there are other positions, or heads are smaller.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.rope(&self.cos, &self.sin, self.layout)
    }
    /// From queries, keys and values side by side, `[batch, positions, (queries + 2 * keys) * size]`, to their heads,
    /// `[batch, queries + 2 * keys, positions, size]`: those of queries and keys behind their norms, if there are any, and
    /// rotated.
    ///
    /// # Errors
    /// When the sizes do not fit each other.
    pub fn heads(
        &self,
        x: &Tensor,
        queries: usize,
        keys: usize,
        norms: Option<(&RmsNorm, &RmsNorm)>,
    ) -> Result<Tensor> {
        let heads = Heads { layout: self.layout, queries, keys, norm: None };
        let Some((query_norm, key_norm)) = norms else {
            return fused::apply(Op::Heads(heads), &[x, &self.cos, &self.sin]);
        };
        let ((query, eps), (key, _)) = (query_norm.scale()?, key_norm.scale()?);
        let heads = Heads { norm: Some(eps), ..heads };
        fused::apply(Op::Heads(heads), &[x, &self.cos, &self.sin, &query, &key])
    }
}

/// Rotates the first `dims` elements of each head by its position. Tables are made once and grow by need.
pub struct RotaryEmbedding {
    layout: RopeLayout,
    dims: usize,
    base: f64,
    scaling: RopeScaling,
    device: Device,
    cache: Mutex<Option<Cached>>,
}

/// Tables of positions `0..positions`.
struct Cached {
    long: bool,
    positions: usize,
    tables: RopeTables,
}

impl RotaryEmbedding {
    /// `dims` elements rotated (even; at most the head's size) with frequencies `base^(-2i/dims)`.
    pub fn new(layout: RopeLayout, dims: usize, base: f64, scaling: RopeScaling, device: &Device) -> Result<Self> {
        if dims == 0 || !dims.is_multiple_of(2) || !(base.is_finite() && base > 0.0) {
            let message = format!("{dims} dimensions with base {base}: wanted an even number and a positive base");
            return Err(Error::argument("rope", message));
        }
        let lists: &[&Vec<f64>] = match &scaling {
            RopeScaling::LongRope { short, long, .. } => &[short, long],
            RopeScaling::Factors(factors) => &[factors],
            _ => &[],
        };
        if let Some(list) = lists.iter().find(|l| l.len() != dims / 2) {
            let message = format!("{} frequency factors for {dims} dimensions; wanted {}", list.len(), dims / 2);
            return Err(Error::argument("rope", message));
        }
        Ok(Self { layout, dims, base, scaling, device: device.clone(), cache: Mutex::new(None) })
    }

    /// Tables for positions `start..start + count`.
    pub fn tables(&self, start: usize, count: usize) -> Result<RopeTables> {
        let end = start.checked_add(count).ok_or_else(|| Error::argument("rope", "position overflows"))?;
        if let RopeScaling::Dynamic { original, .. } = self.scaling
            && end > original
        {
            return self.compute(start, end, end); // every length has its own frequencies: nothing to keep
        }
        let long = matches!(self.scaling, RopeScaling::LongRope { original, .. } if end > original);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = match &*cache {
            Some(cached) if cached.positions >= end && cached.long == long => &cached.tables,
            _ => {
                let positions = end.next_power_of_two().max(256);
                // `end` picks the frequencies, not `positions`: the spare rows belong to the same regime.
                let tables = self.compute(0, positions, end)?;
                &cache.insert(Cached { long, positions, tables }).tables
            }
        };
        let rows = |table: &Tensor| table.narrow(0, start, count);
        Ok(RopeTables { cos: rows(&tables.cos)?, sin: rows(&tables.sin)?, layout: self.layout })
    }

    /// Tables of rows `start..end` with the frequencies of a sequence of `length` tokens.
    fn compute(&self, start: usize, end: usize, length: usize) -> Result<RopeTables> {
        let frequencies = self.frequencies(length);
        let factor = match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
                attention_factor
            }
            _ => 1.0,
        };
        let shape = [end - start, self.dims / 2];
        let table = |f: fn(f64) -> f64| {
            let rows = (start..end).flat_map(|p| frequencies.iter().map(move |w| (f(p as f64 * w) * factor) as f32));
            Tensor::from_slice(&rows.collect::<Vec<f32>>(), shape, &self.device)
        };
        Ok(RopeTables { cos: table(f64::cos)?, sin: table(f64::sin)?, layout: self.layout })
    }

    /// Angle per position of each pair, for a sequence of `length` tokens.
    fn frequencies(&self, length: usize) -> Vec<f64> {
        let dims = self.dims as f64;
        let plain = |base: f64| (0..self.dims / 2).map(move |i| base.powf(-2.0 * i as f64 / dims));
        match &self.scaling {
            RopeScaling::None => plain(self.base).collect(),
            RopeScaling::Linear { factor } => plain(self.base).map(|w| w / factor).collect(),
            RopeScaling::Dynamic { factor, original } => {
                let ratio = (length as f64 / *original as f64).max(1.0);
                plain(self.base * (factor * ratio - (factor - 1.0)).powf(dims / (dims - 2.0))).collect()
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => plain(self.base)
                .map(|w| {
                    let rotations = *original as f64 * w / (2.0 * PI);
                    let keep = ((rotations - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                    w * (keep + (1.0 - keep) / factor)
                })
                .collect(),
            RopeScaling::Yarn { factor, original, beta_fast, beta_slow, .. } => {
                // The pair whose wavelength makes so many rotations over the original context.
                let pair =
                    |rotations: f64| dims * (*original as f64 / (rotations * 2.0 * PI)).ln() / (2.0 * self.base.ln());
                let low = pair(*beta_fast).floor().max(0.0);
                let high = pair(*beta_slow).ceil().min(dims - 1.0).max(low + 1e-3);
                plain(self.base)
                    .enumerate()
                    .map(|(i, w)| {
                        let scale = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                        w * (1.0 - scale) + w / factor * scale
                    })
                    .collect()
            }
            RopeScaling::LongRope { short, long, original, .. } => {
                let list = if length > *original { long } else { short };
                plain(self.base).zip(list).map(|(w, f)| w / f).collect()
            }
            RopeScaling::Factors(list) => plain(self.base).zip(list).map(|(w, f)| w / f).collect(),
        }
    }
}
