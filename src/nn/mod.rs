//! Layers, weight lookup by name, and the key/value cache: what models are made of; losses, optimisers, and saving: what
//! training needs.

mod activation;
mod attention;
mod batch_norm;
mod conv;
mod dropout;
mod embedding;
mod fused;
mod init;
mod kv_cache;
mod linear;
mod lora;
pub mod loss;
mod module;
mod norm;
pub mod optim;
mod parameter;
mod recurrent;
mod rotary;
mod state;
#[cfg(test)]
mod tests;
mod transformer;
mod weights;

pub use activation::{Activation, PRelu};
pub use attention::{AttentionMask, MultiHeadAttention, MultiHeadAttentionOptions};
pub use batch_norm::{BatchNorm, BatchNorm1d, BatchNorm2d, BatchNormOptions, GroupNorm, InstanceNorm};
pub use conv::{Conv, Conv1d, Conv2d, ConvTranspose, ConvTranspose1d, ConvTranspose2d};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use fused::{gated_linears, linears};
pub use init::{Fan, Init, gain};
pub use kv_cache::KvCache;
pub use linear::Linear;
pub use lora::{Adaptable, AdapterSite, Lora, LoraAdapter, LoraConfig};
pub use module::{Module, Sequential};
pub use norm::{LayerNorm, Norm, RmsNorm};
pub use parameter::{Parameter, Parameters};
pub use recurrent::{Gru, Lstm, Nonlinearity, RecurrentOptions, Rnn};
pub use rotary::{RopeScaling, RopeTables, RotaryEmbedding};
pub use state::StateDict;
pub use transformer::{
    TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer, TransformerOptions,
};
pub use weights::Weights;
