//! Reductions, running sums and orders along dimensions.

use super::{Input, Op, Reduce, want_float};
use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
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
        Op::CumSum { dim } => {
            check_dim(name, shape, *dim)?;
            Meta { shape: shape.clone(), dtype: accumulated(dtype) }
        }
        Op::ArgSort { dim, .. } => {
            check_dim(name, shape, *dim)?;
            Meta { shape: shape.clone(), dtype: DType::U32 }
        }
        Op::TopK { k } => {
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
