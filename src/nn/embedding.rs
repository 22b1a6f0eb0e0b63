//! Token embeddings.

use super::{Init, Linear, Module, Parameter, Weights};
use crate::{
    dtype::DType,
    error::{Error, Result},
    tensor::Tensor,
};

/// A table `[vocabulary, size]` of any dtype, read by row; rows come out as f32.
#[derive(Clone)]
pub struct Embedding {
    table: Parameter,
    padding: Option<u32>,
}

impl Embedding {
    /// From a table `[vocabulary, size]`; a tensor becomes a frozen parameter.
    pub fn new(table: impl Into<Parameter>) -> Self {
        Self { table: table.into(), padding: None }
    }
    /// Finds `weight` under the prefix of `weights`. A new one is normally distributed, as PyTorch's.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub async fn load(weights: &Weights, vocabulary: usize, size: usize) -> Result<Self> {
        let init = Init::Normal { mean: 0.0, std: 1.0 };
        Ok(Self::new(weights.parameter("weight", [vocabulary, size], init).await?))
    }
    /// As [`Embedding::load`], with an id whose row is not trained: PyTorch's `padding_idx`. In a new table this row is zero.
    ///
    /// # Errors
    /// When the table is missing or of another shape, or has no such row.
    pub async fn load_with_padding(weights: &Weights, vocabulary: usize, size: usize, padding: u32) -> Result<Self> {
        if padding as usize >= vocabulary {
            return Err(Error::argument("embedding", format!("padding id {padding} in a table of {vocabulary} rows")));
        }
        let new = !weights.contains("weight");
        let embedding = Self { padding: Some(padding), ..Self::load(weights, vocabulary, size).await? };
        if new {
            let table = embedding.table.get().detach();
            let zeros = Tensor::zeros([1, size], table.dtype(), table.device())?;
            embedding.table.set(&table.write_slice(0, padding as usize, &zeros)?)?;
        }
        Ok(embedding)
    }
    /// Ids (any integer dtype) `[..]` → f32 `[.., size]`.
    ///
    /// # Errors
    /// When an id has no row.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let table = self.table.get();
        let rows = ids.embedding(&table, DType::F32)?;
        match self.padding {
            Some(padding) if table.is_tracked() => {
                // The same rows, but no gradient flows back to that of the padding.
                let is_padding = ids.eq_scalar(f64::from(padding))?.unsqueeze(-1)?;
                is_padding.where_cond(rows.detach(), &rows)
            }
            _ => Ok(rows),
        }
    }
    /// The table, `[vocabulary, size]`.
    pub fn weight(&self) -> Tensor {
        self.table.get()
    }
    /// The output head of models whose head is the embedding: the same parameter, not a copy.
    pub fn tied_head(&self) -> Linear {
        Linear::new(self.table.clone(), None)
    }
}

impl Module for Embedding {
    fn forward_t(&self, ids: &Tensor, _: bool) -> Result<Tensor> {
        self.forward(ids)
    }
}
