//! Token embeddings.

use super::{Linear, Weights};
use crate::{dtype::DType, error::Result, tensor::Tensor};

/// A table `[vocabulary, size]` of any dtype, read by row; rows come out as f32.
#[derive(Clone)]
pub struct Embedding {
    table: Tensor,
}

impl Embedding {
    /// From a table `[vocabulary, size]`.
    pub fn new(table: Tensor) -> Self {
        Self { table }
    }
    /// Reads `weight` under the prefix of `weights`.
    pub async fn load(weights: &Weights, vocabulary: usize, size: usize) -> Result<Self> {
        Ok(Self { table: weights.get("weight", [vocabulary, size]).await? })
    }
    /// Ids (any integer dtype) `[..]` → f32 `[.., size]`.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        ids.embedding(&self.table, DType::F32)
    }
    /// The output head of models whose head is the embedding: the same tensor, not a copy.
    pub fn tied_head(&self) -> Linear {
        Linear::new(self.table.clone(), None)
    }
}
