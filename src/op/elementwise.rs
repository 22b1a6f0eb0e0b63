//! Elementwise operations: copies, casts, functions of one, two and three operands.

use super::{
    Backward, Binary, Input, Op, Unary, fused::compute_dtype, gradient::InputGradients, want_float, want_same,
    wrong_dtype,
};
use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    tensor::Tensor,
};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, LN_10};

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
                Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc => {}
                _ => want_float(name, dtype)?,
            }
            dtype
        }
        Op::Binary(binary) => {
            want_same(name, dtype, inputs[1].1)?;
            match binary {
                Binary::Atan2 | Binary::Hypot | Binary::Copysign => want_float(name, dtype)?,
                Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr if !dtype.is_int() => {
                    return Err(wrong_dtype(name, "integers", dtype));
                }
                _ => {}
            }
            dtype
        }
        Op::Affine { mul, add } => {
            // Rounding 2.5 to 2 in silence would be no help.
            if let Some(part) = [mul, add].into_iter().find(|v| dtype.is_int() && v.fract() != 0.0) {
                let message = format!("{part} is no whole number, for a tensor of {dtype}; cast it with to_dtype");
                return Err(Error::dtype(name, message));
            }
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
        Op::Copy => vec![Some((*grad).clone())],
        Op::Cast(_) => vec![Some(grad.to_dtype(inputs[0].dtype())?)],
        Op::Unary(unary) => vec![Some(unary_gradient(*unary, &inputs[0], Some(output), grad)?)],
        Op::Binary(binary) => return binary_gradient(*binary, at),
        Op::Affine { mul, .. } => vec![Some(grad.mul_scalar(*mul)?)],
        Op::Clamp { min, max } => {
            let inside = inputs[0].ge_scalar(*min)?.mul(&inputs[0].le_scalar(*max)?)?;
            vec![Some(masked(&inside, grad)?)]
        }
        Op::Where => {
            let zero = grad.scalar_like(0.0)?;
            vec![
                None,
                at.needed(1, || inputs[0].where_cond(grad, &zero))?,
                at.needed(2, || inputs[0].where_cond(&zero, grad))?,
            ]
        }
        _ => return Err(Error::argument(op.name(), "has no gradient")),
    })
}

/// `grad` where `mask` is 1, zero elsewhere (also where `grad` is not finite).
pub(super) fn masked(mask: &Tensor, grad: &Tensor) -> Result<Tensor> {
    mask.where_cond(grad, &grad.scalar_like(0.0)?)
}

/// The gradient to `x` of `y = unary(x)`; half precision is computed in f32. `y` is computed when it is not given.
pub(super) fn unary_gradient(unary: Unary, x: &Tensor, y: Option<&Tensor>, grad: &Tensor) -> Result<Tensor> {
    match unary {
        Unary::Neg => return grad.neg(),
        // Flat wherever they are continuous.
        Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc => return x.detach().zeros_like(),
        Unary::Abs => return grad.mul(&x.sign()?),
        Unary::Relu => return masked(&x.gt_scalar(0.0)?, grad),
        _ => {}
    }
    let wide = compute_dtype(x.dtype());
    let (x_wide, g) = (x.to_dtype(wide)?, grad.to_dtype(wide)?);
    let x_ref = &x_wide;
    let y = || match y {
        Some(y) => y.to_dtype(wide),
        None => Tensor::apply(Op::Unary(unary), &[x_ref]),
    };
    let found = derivative(unary, x_ref, y, &g)?;
    found.to_dtype(x.dtype())
}

/// `g` times the derivative at `x`.
fn derivative(unary: Unary, x: &Tensor, y: impl FnOnce() -> Result<Tensor>, g: &Tensor) -> Result<Tensor> {
    match unary {
        Unary::Exp => g.mul(&y()?),
        Unary::Log => g.div(x),
        Unary::Sqrt => g.div(&y()?.mul_scalar(2.0)?),
        Unary::Rsqrt => {
            let y = y()?;
            g.mul(&y.sqr()?.mul(&y)?)?.mul_scalar(-0.5)
        }
        Unary::Recip => g.mul(&y()?.sqr()?)?.neg(),
        Unary::Sqr => g.mul(x)?.mul_scalar(2.0),
        Unary::Sin => g.mul(&x.cos()?),
        Unary::Cos => g.mul(&x.sin()?)?.neg(),
        Unary::Tanh => g.mul(&y()?.sqr()?.affine(-1.0, 1.0)?),
        Unary::Erf => g.mul(&x.sqr()?.neg()?.exp()?)?.mul_scalar(FRAC_2_SQRT_PI),
        Unary::Sigmoid => {
            let y = y()?;
            g.mul(&y.mul(&y.affine(-1.0, 1.0)?)?)
        }
        // s + y (1 - s), with s the sigmoid and y = x s.
        Unary::Silu => {
            let (s, y) = (x.sigmoid()?, y()?);
            g.mul(&s.add(&y.mul(&s.affine(-1.0, 1.0)?)?)?)
        }
        // Φ(x) + x φ(x), of the normal distribution.
        Unary::Gelu => {
            let cumulated = x.mul_scalar(FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)?;
            let density = x.sqr()?.mul_scalar(-0.5)?.exp()?.mul_scalar(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2)?;
            g.mul(&cumulated.add(&x.mul(&density)?)?)
        }
        // Of 0.5 x (1 + t) with t = tanh(c (x + 0.044715 x³)).
        Unary::GeluTanh => {
            let (c, squares) = (FRAC_2_SQRT_PI * FRAC_1_SQRT_2, x.sqr()?);
            let t = x.mul(&squares.affine(0.044715 * c, c)?)?.tanh()?;
            let inner = x.mul(&squares.affine(3.0 * 0.044715 * c, c)?)?;
            let slope = t.sqr()?.affine(-1.0, 1.0)?.mul(&inner)?;
            g.mul(&slope.add(&t)?.affine(0.5, 0.5)?)
        }
        Unary::Tan => g.mul(&y()?.sqr()?.add_scalar(1.0)?),
        Unary::Asin => g.div(&x.sqr()?.affine(-1.0, 1.0)?.sqrt()?),
        Unary::Acos => g.div(&x.sqr()?.affine(-1.0, 1.0)?.sqrt()?)?.neg(),
        Unary::Atan => g.div(&x.sqr()?.add_scalar(1.0)?),
        Unary::Sinh => g.mul(&x.cosh()?),
        Unary::Cosh => g.mul(&x.sinh()?),
        Unary::Asinh => g.div(&x.hypot(&x.scalar_like(1.0)?)?),
        Unary::Acosh => g.div(&x.sqr()?.sub_scalar(1.0)?.sqrt()?),
        Unary::Atanh => g.div(&x.sqr()?.affine(-1.0, 1.0)?),
        Unary::Exp2 => g.mul(&y()?)?.mul_scalar(LN_2),
        Unary::Expm1 => g.mul(&y()?.add_scalar(1.0)?),
        Unary::Log2 => g.div(&x.mul_scalar(LN_2)?),
        Unary::Log10 => g.div(&x.mul_scalar(LN_10)?),
        Unary::Log1p => g.div(&x.add_scalar(1.0)?),
        Unary::Erfinv => g.mul(&y()?.sqr()?.exp()?)?.mul_scalar(1.0 / FRAC_2_SQRT_PI),
        // By comparisons, above.
        Unary::Neg | Unary::Abs | Unary::Sign | Unary::Relu => unary_gradient(unary, x, None, g),
        Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc => unary_gradient(unary, x, None, g),
    }
}

fn binary_gradient(binary: Binary, at: &Backward<'_>) -> InputGradients {
    let (grad, [a, b]) = (at.grad, at.inputs) else {
        return Err(Error::argument(binary.name(), "has two inputs"));
    };
    // Equal elements share the gradient, as in PyTorch.
    let chosen = |mine: &Tensor, other: &Tensor| {
        let wins = if binary == Binary::Max { mine.ge(other)? } else { mine.le(other)? };
        masked(&wins, &mine.eq(other)?.where_cond(&grad.mul_scalar(0.5)?, grad)?)
    };
    let gradients = match binary {
        Binary::Add => [at.needed(0, || Ok(grad.clone()))?, at.needed(1, || Ok(grad.clone()))?],
        Binary::Sub => [at.needed(0, || Ok(grad.clone()))?, at.needed(1, || grad.neg())?],
        Binary::Mul => [at.needed(0, || grad.mul(b))?, at.needed(1, || grad.mul(a))?],
        Binary::Div => [at.needed(0, || grad.div(b))?, at.needed(1, || grad.mul(at.output)?.div(b)?.neg())?],
        Binary::Pow => [
            // Zero where the exponent is, whatever 0 to the power of -1 may be.
            at.needed(0, || masked(&b.ne_scalar(0.0)?, &grad.mul(&b.mul(&a.pow(&b.sub_scalar(1.0)?)?)?)?))?,
            // Zero where the base is, whatever its logarithm may be, if the exponent is not negative.
            at.needed(1, || {
                let usual = a.ne_scalar(0.0)?.maximum(&b.lt_scalar(0.0)?)?;
                masked(&usual, &grad.mul(&at.output.mul(&a.log()?)?)?)
            })?,
        ],
        Binary::Min | Binary::Max => [at.needed(0, || chosen(a, b))?, at.needed(1, || chosen(b, a))?],
        Binary::Atan2 => {
            let angle = grad.div(&a.sqr()?.add(&b.sqr()?)?)?;
            [at.needed(0, || angle.mul(b))?, at.needed(1, || angle.mul(a)?.neg())?]
        }
        // The whole multiples of the divisor that were taken off stay as many nearby.
        Binary::Remainder => [Some(grad.clone()), at.needed(1, || grad.mul(&a.div(b)?.floor()?)?.neg())?],
        Binary::Fmod => [Some(grad.clone()), at.needed(1, || grad.mul(&a.div(b)?.trunc()?)?.neg())?],
        Binary::Hypot => {
            let scaled = grad.div(at.output)?;
            [at.needed(0, || scaled.mul(a))?, at.needed(1, || scaled.mul(b))?]
        }
        Binary::Copysign => {
            let kept = || masked(&a.ne_scalar(0.0)?, &grad.mul(&at.output.div(a)?)?);
            [at.needed(0, kept)?, at.needed(1, || b.detach().zeros_like())?]
        }
        Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr => {
            return Err(Error::argument(binary.name(), "has no gradient"));
        }
    };
    Ok(gradients.into())
}
