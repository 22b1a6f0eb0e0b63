//! Where the largest element of each window is: the part of maximum pooling that is not an indexing operation.

use super::{Input, want_float};
use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
};

/// Windows along one dimension: for each output the range of inputs, of which every `step`-th counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// First and one past the last, inside the dimension; none is empty.
    pub spans: Vec<[usize; 2]>,
    /// Distance of the elements of a window.
    pub step: usize,
}

pub(super) fn infer(rows: &Windows, columns: &Windows, inputs: &[Input<'_>]) -> Result<Meta> {
    const NAME: &str = "max_pool2d";
    let (x, dtype) = inputs[0];
    want_float(NAME, dtype)?;
    let &[n, c, h, w] = x.dims() else {
        return Err(Error::shape(NAME, format!("{} should be [batch, channels, height, width]", x.shape())));
    };
    if h.checked_mul(w).is_none_or(|n| u32::try_from(n).is_err()) {
        return Err(Error::shape(NAME, format!("images of {} have more elements than u32 can count", x.shape())));
    }
    for (windows, size) in [(rows, h), (columns, w)] {
        if windows.step == 0 || windows.spans.iter().any(|&[start, end]| start >= end || end > size) {
            return Err(Error::argument(NAME, format!("a window is empty or reaches outside of {size} elements")));
        }
    }
    Ok(Meta { shape: [n, c, rows.spans.len(), columns.spans.len()].into(), dtype: DType::U32 })
}
