//! Elementwise operations: copies, casts, functions of one, two and three operands.

use super::{Backward, Binary, Input, Op, Unary, gradient::InputGradients, want_float, want_same, wrong_dtype};
use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
};

/// Shape and dtype of the result of an elementwise operation.
pub(super) fn infer(op: &Op, inputs: &[Input<'_>]) -> Result<Meta> {
    let name = op.name();
    let (layout, dtype) = inputs[0];
    let shape = layout.shape();
    for (other, _) in &inputs[1..] {
        if other.shape() != shape {
            return Err(Error::shapes(name, shape, other.shape(), "shapes differ"));
        }
    }
    let dtype = match op {
        Op::Cast(to) => {
            let last = shape.dims().last().copied().unwrap_or(1);
            if !last.is_multiple_of(to.block_len()) {
                let block = to.block_len();
                let message = format!("rows of {shape} do not fill whole blocks of {block} of {to}");
                return Err(Error::shape(name, message));
            }
            *to
        }
        Op::Unary(unary) => {
            let unsigned = matches!(dtype, DType::U32 | DType::U8);
            match unary {
                Unary::Neg if unsigned => return Err(wrong_dtype(name, "signed numbers", dtype)),
                Unary::Neg | Unary::Abs | Unary::Sign | Unary::Sqr | Unary::Relu => {}
                Unary::Floor | Unary::Ceil | Unary::Round => {}
                _ => want_float(name, dtype)?,
            }
            dtype
        }
        Op::Binary(_) => {
            want_same(name, dtype, inputs[1].1)?;
            dtype
        }
        Op::Compare(_) => {
            want_same(name, dtype, inputs[1].1)?;
            DType::U8
        }
        Op::Where => {
            if dtype != DType::U8 {
                return Err(wrong_dtype(name, "a u8 condition", dtype));
            }
            want_same(name, inputs[1].1, inputs[2].1)?;
            inputs[1].1
        }
        Op::Clamp { min, max } => {
            if min.is_nan() || max.is_nan() || min > max {
                return Err(Error::argument(name, format!("{min}..={max} is no range")));
            }
            dtype
        }
        _ => dtype,
    };
    Ok(Meta { shape: shape.clone(), dtype })
}

/// Gradient rules of elementwise operations.
pub(super) fn gradient(op: &Op, at: &Backward<'_>) -> InputGradients {
    let Backward { inputs, output, grad, .. } = at;
    Ok(match op {
        Op::Unary(Unary::Exp) => vec![Some(grad.mul(output)?)],
        Op::Copy => vec![Some((*grad).clone())],
        Op::Binary(Binary::Add) => vec![Some((*grad).clone()), Some((*grad).clone())],
        Op::Binary(Binary::Mul) => {
            vec![at.needed(0, || grad.mul(&inputs[1]))?, at.needed(1, || grad.mul(&inputs[0]))?]
        }
        _ => return Err(Error::argument(op.name(), "has no gradient")),
    })
}
