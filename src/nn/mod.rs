//! Layers, weight lookup by name, and the key/value cache: what models are made of.

mod embedding;
mod kv_cache;
mod linear;
mod norm;
mod rotary;
mod weights;

pub use embedding::Embedding;
pub use kv_cache::KvCache;
pub use linear::Linear;
pub use norm::{LayerNorm, Norm, RmsNorm};
pub use rotary::{RopeScaling, RopeTables, RotaryEmbedding};
pub use weights::Weights;
