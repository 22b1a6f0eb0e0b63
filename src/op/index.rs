//! Joining and indexing.

use super::{Backward, Input, Op, fused::compute_dtype, gradient::InputGradients, want_int, want_same};
use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
    tensor::Tensor,
};

/// Shape and dtype of the result of a joining or indexing operation. That indices are in range is checked by the
/// backend that reads them.
pub(super) fn infer(op: &Op, inputs: &[Input<'_>]) -> Result<Meta> {
    let name = op.name();
    let (layout, dtype) = inputs[0];
    let shape = layout.shape();
    let (Op::Cat { dim } | Op::Gather { dim } | Op::IndexSelect { dim } | Op::ScatterAdd { dim } | Op::Scatter { dim }) =
        *op
    else {
        return Err(Error::argument(name, "is no indexing operation"));
    };
    if dim >= shape.rank() {
        return Err(Error::argument(name, format!("dimension {dim} is out of range for shape {shape}")));
    }
    if let Op::Cat { .. } = op {
        return cat(dim, inputs);
    }
    let (indices, index_dtype) = inputs[1];
    want_int(name, index_dtype)?;
    let indices = indices.shape();
    if let Op::IndexSelect { .. } = op {
        let &[n] = indices.dims() else {
            return Err(Error::shape(name, format!("indices must have one dimension, got {indices}")));
        };
        let mut dims = shape.dims().to_vec();
        dims[dim] = n;
        return Ok(Meta { shape: dims.into(), dtype });
    }
    let fits =
        indices.rank() == shape.rank() && (0..shape.rank()).all(|i| i == dim || indices.dims()[i] <= shape.dims()[i]);
    if !fits {
        let why = format!("indices must have as many dimensions, none larger apart from dimension {dim}");
        return Err(Error::shapes(name, shape, indices, why));
    }
    if let Op::ScatterAdd { .. } | Op::Scatter { .. } = op {
        let (source, source_dtype) = inputs[2];
        want_same(name, dtype, source_dtype)?;
        if source.shape() != indices {
            return Err(Error::shapes(name, indices, source.shape(), "indices and source differ in shape"));
        }
        return Ok(Meta { shape: shape.clone(), dtype });
    }
    Ok(Meta { shape: indices.clone(), dtype })
}

fn cat(dim: usize, inputs: &[Input<'_>]) -> Result<Meta> {
    let (first, dtype) = inputs[0];
    let mut dims = first.dims().to_vec();
    for &(layout, other) in &inputs[1..] {
        want_same("cat", dtype, other)?;
        let fits = layout.dims().len() == dims.len()
            && (0..dims.len()).all(|i| i == dim || layout.dims()[i] == first.dims()[i]);
        if !fits {
            let why = format!("sizes differ apart from dimension {dim}");
            return Err(Error::shapes("cat", first.shape(), layout.shape(), why));
        }
        dims[dim] = dims[dim].checked_add(layout.dims()[dim]).ok_or_else(|| Error::shape("cat", "size overflows"))?;
    }
    if dtype.is_quantized() && dim + 1 == dims.len() {
        let message = format!("{dtype} is a block format; rows cannot be joined along their own dimension");
        return Err(Error::dtype("cat", message));
    }
    Ok(Meta { shape: dims.into(), dtype })
}

/// Gradient rules of joining and indexing.
pub(super) fn gradient(op: &Op, at: &Backward<'_>) -> InputGradients {
    let Backward { inputs, grad, .. } = at;
    match op {
        Op::Cat { dim } => {
            let mut start = 0;
            let part = |(i, x): (usize, &Tensor)| {
                let size = x.dims()[*dim];
                start += size;
                at.needed(i, || grad.narrow(*dim as isize, start - size, size))
            };
            inputs.iter().enumerate().map(part).collect()
        }
        Op::Gather { dim } => {
            let x = &inputs[0];
            Ok(vec![Some(collected(x.shape(), x.dtype(), *dim, &inputs[1], grad)?), None])
        }
        Op::IndexSelect { dim } => {
            let x = &inputs[0];
            let mut along = vec![1; x.rank()];
            along[*dim] = inputs[1].elements();
            let indices = inputs[1].reshape(along)?.broadcast_to(grad.shape())?;
            Ok(vec![Some(collected(x.shape(), x.dtype(), *dim, &indices, grad)?), None])
        }
        Op::ScatterAdd { dim } => {
            let source = || grad.gather(*dim as isize, &inputs[1]);
            Ok(vec![at.needed(0, || Ok((*grad).clone()))?, None, at.needed(2, source)?])
        }
        // As PyTorch's, for indices that do not repeat: of those that do, each gets the gradient of the one place.
        Op::Scatter { dim } => {
            let (dim, indices) = (*dim as isize, &inputs[1]);
            let source = || grad.gather(dim, indices);
            Ok(vec![at.needed(0, || grad.scatter(dim, indices, 0.0))?, None, at.needed(2, source)?])
        }
        _ => Err(Error::argument(op.name(), "has no gradient")),
    }
}

/// Zeros with `source` added at `indices` along `dim`; sums of half precision are of f32.
pub(super) fn collected(shape: &Shape, dtype: DType, dim: usize, indices: &Tensor, source: &Tensor) -> Result<Tensor> {
    let wide = compute_dtype(dtype);
    let zeros = Tensor::zeros(shape, wide, source.device())?;
    zeros.scatter_add(dim as isize, indices, &source.to_dtype(wide)?)?.to_dtype(dtype)
}
