//! Products with weights and look-ups in them, weights being of any dtype.

use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    op::{Backward, Input, gradient::InputGradients, index::collected, want_float, want_int, wrong_dtype},
    tensor::Tensor,
};

pub(in crate::op) fn infer_linear(inputs: &[Input<'_>]) -> Result<Meta> {
    let ((x, dtype), (w, w_dtype)) = (inputs[0], inputs[1]);
    want_float("linear", dtype)?;
    if w_dtype.is_int() {
        return Err(wrong_dtype("linear", "a float or block-format weight", w_dtype));
    }
    let (x, w) = (x.shape(), w.shape());
    let ([batch @ .., k], &[n, wk]) = (x.dims(), w.dims()) else {
        return Err(Error::shapes("linear", x, w, "x needs a dimension, the weight two: [.., k] and [n, k]"));
    };
    if *k != wk {
        return Err(Error::shapes("linear", x, w, format!("inner dimensions {k} and {wk} differ")));
    }
    if let Some((bias, bias_dtype)) = inputs.get(2) {
        want_float("linear", *bias_dtype)?;
        if bias.dims() != [n] {
            let why = format!("bias {} should be [{n}]", bias.shape());
            return Err(Error::shapes("linear", x, w, why));
        }
    }
    let mut dims = batch.to_vec();
    dims.push(n);
    Ok(Meta { shape: dims.into(), dtype })
}

pub(in crate::op) fn decompose_linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let product = x.matmul(&w.to_dtype(x.dtype())?.t()?)?;
    match bias {
        Some(bias) => product.add(&bias.to_dtype(x.dtype())?),
        None => Ok(product),
    }
}

pub(in crate::op) fn infer_embedding(dtype: DType, inputs: &[Input<'_>]) -> Result<Meta> {
    let ((ids, ids_dtype), (table, table_dtype)) = (inputs[0], inputs[1]);
    want_int("embedding", ids_dtype)?;
    want_float("embedding", dtype)?;
    if table_dtype.is_int() {
        return Err(wrong_dtype("embedding", "a float or block-format table", table_dtype));
    }
    let &[_, d] = table.dims() else {
        return Err(Error::shapes("embedding", ids.shape(), table.shape(), "the table needs two dimensions"));
    };
    let mut dims = ids.dims().to_vec();
    dims.push(d);
    Ok(Meta { shape: dims.into(), dtype })
}

pub(in crate::op) fn decompose_embedding(dtype: DType, ids: &Tensor, table: &Tensor) -> Result<Tensor> {
    let mut dims = ids.dims().to_vec();
    dims.push(table.dims()[1]);
    table.to_dtype(dtype)?.index_select(0, &ids.flatten_all()?)?.reshape(dims)
}

/// `dx = dy · w`, `dw = dyᵀ · x`, over all rows. A weight in blocks has no gradient itself; it is dequantized for that
/// to the activations.
pub(in crate::op) fn linear_gradient(at: &Backward<'_>) -> InputGradients {
    let (x, w) = (&at.inputs[0], &at.inputs[1]);
    let (n, k) = w.dims2()?;
    let rows: usize = x.dims()[..x.rank() - 1].iter().product();
    let grad = at.grad.reshape([rows, n])?;
    let mut gradients = vec![
        at.needed(0, || grad.matmul(&w.to_dtype(x.dtype())?)?.reshape(x.shape()))?,
        at.needed(1, || grad.t()?.matmul(&x.reshape([rows, k])?)?.to_dtype(w.dtype()))?,
    ];
    if let Some(bias) = at.inputs.get(2) {
        gradients.push(at.needed(2, || grad.sum(0)?.to_dtype(bias.dtype()))?);
    }
    Ok(gradients)
}

/// To the table: each row's gradients added up.
pub(in crate::op) fn embedding_gradient(at: &Backward<'_>) -> InputGradients {
    let (ids, table) = (&at.inputs[0], &at.inputs[1]);
    let (count, d) = (ids.elements(), table.dims()[1]);
    let indices = ids.reshape([count, 1])?.broadcast_to([count, d])?;
    Ok(vec![None, Some(collected(table.shape(), table.dtype(), 0, &indices, &at.grad.reshape([count, d])?)?)])
}
