//! Layers, weight lookup by name, and the key/value cache: what models are made of; losses, optimisers, and saving: what
//! training needs.

mod conv;
mod dropout;
mod embedding;
mod init;
mod kv_cache;
mod linear;
pub mod loss;
mod module;
mod norm;
pub mod optim;
mod parameter;
mod rotary;
mod state;
#[cfg(test)]
mod tests;
mod weights;

pub use conv::{Conv, Conv1d, Conv2d, ConvTranspose, ConvTranspose1d, ConvTranspose2d};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use init::{Fan, Init, gain};
pub use kv_cache::KvCache;
pub use linear::Linear;
pub use module::{Module, Sequential};
pub use norm::{LayerNorm, Norm, RmsNorm};
pub use parameter::{Parameter, Parameters};
pub use rotary::{RopeScaling, RopeTables, RotaryEmbedding};
pub use state::StateDict;
pub use weights::Weights;
