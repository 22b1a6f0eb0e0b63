//! Reductions, running sums and orders along dimensions.

use super::{
    Backward, Input, Op, Reduce, elementwise::masked, fused::compute_dtype, gradient::InputGradients, want_float,
};
use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
    tensor::Tensor,
};

fn check_dim(name: &'static str, shape: &Shape, dim: usize) -> Result<()> {
    if dim < shape.rank() {
        Ok(())
    } else {
        Err(Error::argument(name, format!("dimension {dim} is out of range for shape {shape}")))
    }
}

/// The shape without `dims`, or with them as size 1.
fn reduced(shape: &Shape, dims: &[usize], keep: bool) -> Shape {
    let sizes = shape.dims().iter().enumerate();
    if keep {
        return sizes.map(|(i, &d)| if dims.contains(&i) { 1 } else { d }).collect::<Vec<_>>().into();
    }
    sizes.filter(|(i, _)| !dims.contains(i)).map(|(_, &d)| d).collect::<Vec<_>>().into()
}

/// Of integers, sums and products are wide.
fn accumulated(dtype: DType) -> DType {
    if dtype.is_int() { DType::I64 } else { dtype }
}

/// Shape and dtype of the result of a reduction, running sum or ordering.
pub(super) fn infer(op: &Op, inputs: &[Input<'_>]) -> Result<Meta> {
    let name = op.name();
    let (layout, dtype) = inputs[0];
    let shape = layout.shape();
    let meta = match op {
        Op::Reduce { reduce, dims, keep_dims } => {
            if !dims.is_sorted_by(|a, b| a < b) {
                return Err(Error::argument(name, format!("dimensions {dims:?} repeat")));
            }
            for &dim in dims {
                check_dim(name, shape, dim)?;
            }
            let dtype = match reduce {
                Reduce::Sum | Reduce::Prod => accumulated(dtype),
                Reduce::Mean => {
                    want_float(name, dtype)?;
                    dtype
                }
                Reduce::Max | Reduce::Min => {
                    let result = reduced(shape, dims, false);
                    if result.elements() > 0 && shape.elements() == 0 {
                        return Err(Error::shape(name, format!("nothing to choose from along {dims:?} of {shape}")));
                    }
                    dtype
                }
            };
            Meta { shape: reduced(shape, dims, *keep_dims), dtype }
        }
        Op::ArgReduce { dim, keep_dim, .. } => {
            check_dim(name, shape, *dim)?;
            if shape.dims()[*dim] == 0 && reduced(shape, &[*dim], false).elements() > 0 {
                return Err(Error::shape(name, format!("nothing to choose from along dimension {dim} of {shape}")));
            }
            Meta { shape: reduced(shape, &[*dim], *keep_dim), dtype: DType::U32 }
        }
        Op::CumSum { dim } | Op::CumProd { dim } => {
            check_dim(name, shape, *dim)?;
            Meta { shape: shape.clone(), dtype: accumulated(dtype) }
        }
        Op::ArgSort { dim, .. } => {
            check_dim(name, shape, *dim)?;
            Meta { shape: shape.clone(), dtype: DType::U32 }
        }
        Op::TopK { k, .. } => {
            let mut dims = shape.dims().to_vec();
            match dims.last_mut() {
                Some(last) if *k <= *last => *last = *k,
                _ => return Err(Error::argument(name, format!("no {k} elements along the last dimension of {shape}"))),
            }
            Meta { shape: dims.into(), dtype: DType::U32 }
        }
        _ => return Err(Error::argument(name, "is no reduction")),
    };
    Ok(meta)
}

/// Gradient rules of reductions and running sums.
pub(super) fn gradient(op: &Op, at: &Backward<'_>) -> InputGradients {
    let (x, grad) = (&at.inputs[0], at.grad);
    let gradient = match op {
        Op::Reduce { reduce, dims, .. } => {
            // A value for each reduced group, at each of its elements.
            let spread = |t: &Tensor| t.reshape(reduced(x.shape(), dims, true))?.broadcast_to(x.shape());
            match reduce {
                Reduce::Sum => spread(grad)?,
                Reduce::Mean => {
                    let count: usize = dims.iter().map(|&d| x.dims()[d]).product();
                    spread(&grad.mul_scalar(1.0 / count as f64)?)?
                }
                // Equal elements share the gradient, as of PyTorch's amax and amin.
                Reduce::Max | Reduce::Min => {
                    let chosen = x.eq(&spread(at.output)?)?;
                    let dims: Vec<_> = dims.iter().map(|&d| d as isize).collect();
                    let count = chosen.to_dtype(compute_dtype(x.dtype()))?.sum_keepdim(&dims[..])?;
                    let count = count.reshape(grad.shape())?.to_dtype(grad.dtype())?;
                    masked(&chosen, &spread(&grad.div(&count)?)?)?
                }
                Reduce::Prod => product_gradient(x, dims, grad)?,
            }
        }
        Op::CumSum { dim } => {
            let dim = *dim as isize;
            grad.flip(dim)?.cumsum(dim)?.flip(dim)?
        }
        Op::CumProd { dim } => running_product_gradient(x, *dim, grad)?,
        _ => return Err(Error::argument(op.name(), "has no gradient")),
    };
    Ok(vec![Some(gradient)])
}

/// The product of the others, for each element: by division where nothing is zero, else of those that are not.
fn product_gradient(x: &Tensor, dims: &[usize], grad: &Tensor) -> Result<Tensor> {
    let wide = x.to_dtype(compute_dtype(x.dtype()))?;
    let dims: Vec<_> = dims.iter().map(|&d| d as isize).collect();
    let zero = wide.eq_scalar(0.0)?;
    let zeros = zero.to_dtype(wide.dtype())?.sum_keepdim(&dims[..])?;
    let rest = zero.where_cond(&wide.scalar_like(1.0)?, &wide)?;
    let scaled = rest.prod_keepdim(&dims[..])?.mul(&grad.to_dtype(wide.dtype())?.reshape(zeros.shape())?)?;
    // Of the other elements, that many are zero: the product is not zero only if none is.
    let others = zeros.sub(&zero.to_dtype(wide.dtype())?)?;
    masked(&others.eq_scalar(0.0)?, &scaled.div(&rest)?)?.to_dtype(x.dtype())
}

/// To each element the sum of what it is a factor of. Up to the first zero of a line that is a running sum from the end,
/// divided by the element; beyond it everything is zero; at it, 1 in its place shows what the others make.
fn running_product_gradient(x: &Tensor, dim: usize, grad: &Tensor) -> Result<Tensor> {
    let (dim, wide) = (dim as isize, x.to_dtype(compute_dtype(x.dtype()))?);
    let grad = grad.to_dtype(wide.dtype())?;
    let from_end = |product: &Tensor| grad.mul(product)?.flip(dim)?.cumsum(dim)?.flip(dim);
    let zero = wide.eq_scalar(0.0)?;
    let zeros = zero.cumsum(dim)?;
    let first = zero.mul(&zeros.eq_scalar(1.0)?)?;
    let replaced = first.where_cond(1.0, &wide)?;
    let before = from_end(&wide.cumprod(dim)?)?.div(&zero.where_cond(1.0, &wide)?)?;
    let at_first = from_end(&replaced.cumprod(dim)?)?;
    let found = masked(&zeros.eq_scalar(0.0)?, &before)?.add(&masked(&first, &at_first)?)?;
    found.to_dtype(x.dtype())
}
