//! Elementwise kernels over any layout: operands are brought into wide slices, and functions work on those in place.

use super::{
    Buffer,
    num::{CastTo, Num, Wide, with_num},
    output,
    reduce::{Accumulate, Total},
    typed,
    walk::{PIECE, Shared, Walk, fill, load, wide},
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::{Error, Result},
    op::{Binary, Compare, Gate, Unary},
};
use half::{bf16, f16};

/// Fills the result piece by piece: `f(wide result holding x, piece)`.
fn map<T: Num>(x: &View<'_>, out: &Meta, f: impl Fn(&mut [T::Wide]) + Sync) -> Result<Buffer> {
    let data = typed::<T>(x)?;
    let mut result = output(out)?;
    let walk = Walk::new([x.layout]);
    let [stride] = walk.strides();
    let shared = Shared::new(result.as_slice_mut::<T>()?);
    walk.run_parallel(|piece| {
        // SAFETY: pieces of a walk do not overlap.
        fill(unsafe { shared.part(piece.at..piece.at + piece.len) }, |wide| {
            load(data, piece.from[0], stride, wide);
            f(wide);
        });
    });
    Ok(result)
}

/// Fills the result piece by piece: `f(wide result holding a, wide b)`.
fn zip<T: Num>(
    a: &View<'_>,
    b: &View<'_>,
    out: &Meta,
    f: impl Fn(&mut [T::Wide], &[T::Wide]) + Sync,
) -> Result<Buffer> {
    let (a_data, b_data) = (typed::<T>(a)?, typed::<T>(b)?);
    let mut result = output(out)?;
    let walk = Walk::new([a.layout, b.layout]);
    let [a_stride, b_stride] = walk.strides();
    let shared = Shared::new(result.as_slice_mut::<T>()?);
    walk.run_parallel(|piece| {
        let mut space = [T::Wide::default(); PIECE];
        let b = wide(b_data, piece.from[1], b_stride, piece.len, &mut space);
        // SAFETY: pieces of a walk do not overlap.
        fill(unsafe { shared.part(piece.at..piece.at + piece.len) }, |wide| {
            load(a_data, piece.from[0], a_stride, wide);
            f(wide, b);
        });
    });
    Ok(result)
}

pub(super) fn unary(op: Unary, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_num!(x.dtype, op.name(), T => map::<T>(x, out, |v| <T as Num>::Wide::unary(op, v)))
}

pub(super) fn binary(op: Binary, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_num!(a.dtype, op.name(), T => {
        if op == Binary::Div && a.dtype.is_int() {
            let data = typed::<T>(b)?;
            if b.layout.indices().any(|i| data[i].widen() == <T as Num>::Wide::ZERO) {
                return Err(Error::argument("div", format!("{} divided by zero", a.dtype)));
            }
        }
        zip::<T>(a, b, out, |a, b| <T as Num>::Wide::binary(op, a, b))
    })
}

pub(super) fn affine(mul: f64, add: f64, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_num!(x.dtype, "affine", T => {
        let (mul, add) = (<T as Num>::Wide::parameter(mul), <T as Num>::Wide::parameter(add));
        map::<T>(x, out, |v| v.iter_mut().for_each(|v| *v = v.times(mul).plus(add)))
    })
}

pub(super) fn clamp(min: f64, max: f64, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_num!(x.dtype, "clamp", T => {
        let (min, max) = (<T as Num>::Wide::from_f64(min), <T as Num>::Wide::from_f64(max));
        map::<T>(x, out, |v| v.iter_mut().for_each(|v| {
            let low = if *v < min { min } else { *v };
            *v = if low > max { max } else { low };
        }))
    })
}

/// `gate(a) * b`
pub(super) fn gated(gate: Gate, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    let gate = match gate {
        Gate::Silu => Unary::Silu,
        Gate::Gelu => Unary::Gelu,
        Gate::GeluTanh => Unary::GeluTanh,
        Gate::Relu => Unary::Relu,
    };
    with_num!(a.dtype, "gated", T => zip::<T>(a, b, out, |a, b| {
        <T as Num>::Wide::unary(gate, a);
        <T as Num>::Wide::binary(Binary::Mul, a, b);
    }))
}

pub(super) fn compare(op: Compare, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_num!(a.dtype, op.name(), T => compare_typed::<T>(op, a, b, out))
}

fn compare_typed<T: Num>(op: Compare, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    let (a_data, b_data) = (typed::<T>(a)?, typed::<T>(b)?);
    let mut result = output(out)?;
    let walk = Walk::new([a.layout, b.layout]);
    let [a_stride, b_stride] = walk.strides();
    let shared = Shared::new(result.bytes_mut());
    walk.run_parallel(|piece| {
        let (mut a_space, mut b_space) = ([T::Wide::default(); PIECE], [T::Wide::default(); PIECE]);
        let a = wide(a_data, piece.from[0], a_stride, piece.len, &mut a_space);
        let b = wide(b_data, piece.from[1], b_stride, piece.len, &mut b_space);
        // SAFETY: pieces of a walk do not overlap.
        let out = unsafe { shared.part(piece.at..piece.at + piece.len) };
        let each = out.iter_mut().zip(a).zip(b);
        match op {
            Compare::Eq => each.for_each(|((o, a), b)| *o = u8::from(a == b)),
            Compare::Ne => each.for_each(|((o, a), b)| *o = u8::from(a != b)),
            Compare::Lt => each.for_each(|((o, a), b)| *o = u8::from(a < b)),
            Compare::Le => each.for_each(|((o, a), b)| *o = u8::from(a <= b)),
            Compare::Gt => each.for_each(|((o, a), b)| *o = u8::from(a > b)),
            Compare::Ge => each.for_each(|((o, a), b)| *o = u8::from(a >= b)),
        }
    });
    Ok(result)
}

pub(super) fn where_cond(condition: &View<'_>, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    // Elements are only moved, so their size is all that matters.
    match out.dtype.block_bytes() {
        1 => where_sized::<u8>(condition, a, b, out),
        2 => where_sized::<u16>(condition, a, b, out),
        4 => where_sized::<u32>(condition, a, b, out),
        _ => where_sized::<u64>(condition, a, b, out),
    }
}

fn where_sized<T: bytemuck::Pod + Send + Sync>(c: &View<'_>, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    let c_data = typed::<u8>(c)?;
    let (a_data, b_data) = (super::sized::<T>(a)?, super::sized::<T>(b)?);
    let mut result = output(out)?;
    let walk = Walk::new([c.layout, a.layout, b.layout]);
    let [c_stride, a_stride, b_stride] = walk.strides();
    let shared = Shared::new(bytemuck::cast_slice_mut::<u8, T>(result.bytes_mut()));
    walk.run_parallel(|piece| {
        let [c, a, b] = piece.from;
        // SAFETY: pieces of a walk do not overlap.
        let out = unsafe { shared.part(piece.at..piece.at + piece.len) };
        for (i, o) in out.iter_mut().enumerate() {
            *o = if c_data[c + i * c_stride] != 0 { a_data[a + i * a_stride] } else { b_data[b + i * b_stride] };
        }
    });
    Ok(result)
}

/// Between plain dtypes.
pub(super) fn cast(x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_num!(x.dtype, "to_dtype", T => cast_from::<T>(x, out))
}

/// Through the wide type and then f64 or i64, which hold every value: so there is a loop for each dtype read and each
/// written, not for each pair of them.
fn cast_from<T: Num>(x: &View<'_>, out: &Meta) -> Result<Buffer>
where
    T::Wide: Accumulate,
{
    let data = typed::<T>(x)?;
    let mut result = output(out)?;
    let walk = Walk::new([x.layout]);
    let ([stride], size) = (walk.strides(), out.dtype.block_bytes());
    let shared = Shared::new(result.bytes_mut());
    walk.run_parallel(|piece| {
        let mut totals = [<T::Wide as Accumulate>::Total::ZERO; PIECE];
        for (i, total) in totals[..piece.len].iter_mut().enumerate() {
            *total = data[piece.from[0] + i * stride].widen().total();
        }
        // SAFETY: pieces of a walk do not overlap.
        let bytes = unsafe { shared.part(piece.at * size..(piece.at + piece.len) * size) };
        shorten_into(&totals[..piece.len], out.dtype, bytes);
    });
    Ok(result)
}

/// Writes values as elements of a plain dtype, which `out` is aligned for.
#[inline(never)]
pub(super) fn shorten_into<A: Total>(values: &[A], dtype: DType, out: &mut [u8]) {
    fn each<A: CastTo<B::Wide>, B: Num>(values: &[A], out: &mut [u8]) {
        let out = bytemuck::cast_slice_mut::<u8, B>(out);
        out.iter_mut().zip(values).for_each(|(o, &v)| *o = B::shorten(v.cast()));
    }
    match dtype {
        DType::F32 => each::<A, f32>(values, out),
        DType::F16 => each::<A, f16>(values, out),
        DType::BF16 => each::<A, bf16>(values, out),
        DType::F64 => each::<A, f64>(values, out),
        DType::I64 => each::<A, i64>(values, out),
        DType::I32 => each::<A, i32>(values, out),
        DType::U32 => each::<A, u32>(values, out),
        // Block formats are never written so; see `copy::cast`.
        _ => each::<A, u8>(values, out),
    }
}

/// The elements of any plain or block dtype as f32 in row-major order.
pub(super) fn to_f32(x: &View<'_>) -> Result<Buffer> {
    let meta = Meta { shape: x.layout.shape().clone(), dtype: DType::F32 };
    super::copy::cast(x, &meta)
}
