//! From projections that lie side by side to the heads of attention.

use super::rope;
use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    op::{Input, RopeLayout, want_float},
    shape::Shape,
    tensor::Tensor,
};

/// What [`Op::Heads`](crate::op::Op::Heads) makes of its input, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Which elements pair up.
    pub layout: RopeLayout,
    /// Heads of queries.
    pub queries: usize,
    /// Heads of keys, and of values.
    pub keys: usize,
    /// With norms of the heads: added to their mean square.
    pub norm: Option<f64>,
}

impl Heads {
    /// All heads: of queries, of keys, of values.
    pub fn count(&self) -> usize {
        self.queries + 2 * self.keys
    }
}

pub(in crate::op) fn infer(heads: &Heads, inputs: &[Input<'_>]) -> Result<Meta> {
    let name = "heads";
    let (x, dtype) = inputs[0];
    want_float(name, dtype)?;
    let fail = |why: String| Err(Error::shape(name, format!("x {}: {why}", x.shape())));
    let &[b, t, width] = x.dims() else { return fail("should be [b, t, heads * d]".into()) };
    let count = heads.count();
    if heads.queries == 0 || heads.keys == 0 || width == 0 || !width.is_multiple_of(count) {
        return fail(format!("cannot be parted into {} + 2 · {} heads", heads.queries, heads.keys));
    }
    let (d, norms) = (width / count, &inputs[3..]);
    if norms.len() != if heads.norm.is_some() { 2 } else { 0 } {
        return Err(Error::argument(
            name,
            format!("{} norms given; wanted those of queries and keys, or none", norms.len()),
        ));
    }
    for &(norm, norm_dtype) in norms {
        want_float(name, norm_dtype)?;
        if norm.dims() != [d] {
            return fail(format!("the norm of heads of {d} elements has {}", norm.shape()));
        }
    }
    let shape = Shape::from([b, count, t, d]);
    rope::infer(&[(&Layout::contiguous(shape.clone()), DType::F32), inputs[1], inputs[2]])?;
    Ok(Meta { shape, dtype })
}

pub(in crate::op) fn decompose(heads: &Heads, inputs: &[&Tensor]) -> Result<Tensor> {
    let &[x, cos, sin, ref norms @ ..] = inputs else { return Err(Error::argument("heads", "takes three inputs")) };
    let (b, t, width) = x.dims3()?;
    let all = x.reshape([b, t, heads.count(), width / heads.count()])?.permute([0, 2, 1, 3])?;
    let rotated = match (heads.norm, norms) {
        (Some(eps), [queries, keys]) => {
            let normed = |start, len, weight: &Tensor| all.narrow(1, start, len)?.rms_norm(weight, eps);
            Tensor::cat(&[&normed(0, heads.queries, queries)?, &normed(heads.queries, heads.keys, keys)?], 1)?
        }
        _ => all.narrow(1, 0, heads.queries + heads.keys)?,
    };
    let values = all.narrow(1, heads.queries + heads.keys, heads.keys)?;
    Tensor::cat(&[&rotated.rope(cos, sin, heads.layout)?, &values], 1)
}
