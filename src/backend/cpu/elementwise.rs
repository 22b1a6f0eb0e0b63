//! Elementwise kernels over any layout: operands are brought into wide slices, and functions work on those in place.

use super::{
    Buffer,
    num::{CastTo, Wide, with_wide},
    reduce::{Accumulate, Total},
    typed, unwritten,
    walk::{PIECE, Shared, Source, Walk, fill},
};
use crate::{
    backend::{Meta, View},
    dtype::{DType, Element},
    error::{Error, Result},
    op::{Binary, Compare, Gate, Unary},
};
use half::{bf16, f16};

/// Fills the result piece by piece: `f(wide result holding x)`.
fn map<W: Wide>(x: &View<'_>, out: &Meta, f: &(dyn Fn(&mut [W]) + Sync)) -> Result<Buffer> {
    let data = Source::new(x)?;
    let mut result = unwritten(out)?;
    let walk = Walk::new([x.layout]);
    let ([stride], size) = (walk.strides(), out.dtype.block_bytes());
    let shared = Shared::new(result.bytes_mut());
    walk.run_parallel(|piece| {
        // SAFETY: pieces of a walk do not overlap.
        let bytes = unsafe { shared.part(piece.at * size..(piece.at + piece.len) * size) };
        fill(bytes, out.dtype, |wide| {
            data.load(piece.from[0], stride, wide);
            f(wide);
        });
    });
    Ok(result)
}

/// Fills the result piece by piece: `f(wide result holding a, wide b)`.
fn zip<W: Wide>(a: &View<'_>, b: &View<'_>, out: &Meta, f: &(dyn Fn(&mut [W], &[W]) + Sync)) -> Result<Buffer> {
    let (a_data, b_data) = (Source::new(a)?, Source::new(b)?);
    let mut result = unwritten(out)?;
    let walk = Walk::new([a.layout, b.layout]);
    let ([a_stride, b_stride], size) = (walk.strides(), out.dtype.block_bytes());
    let shared = Shared::new(result.bytes_mut());
    walk.run_parallel(|piece| {
        let mut space = [W::default(); PIECE];
        let b = b_data.read(piece.from[1], b_stride, piece.len, &mut space);
        // SAFETY: pieces of a walk do not overlap.
        let bytes = unsafe { shared.part(piece.at * size..(piece.at + piece.len) * size) };
        fill(bytes, out.dtype, |wide| {
            a_data.load(piece.from[0], a_stride, wide);
            f(wide, b);
        });
    });
    Ok(result)
}

pub(super) fn unary(op: Unary, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, op.name(), W => map::<W>(x, out, &|v| W::unary(op, v)))
}

pub(super) fn binary(op: Binary, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    if matches!(op, Binary::Div | Binary::Remainder | Binary::Fmod) && a.dtype.is_int() {
        refuse_zeros(op, b)?;
    }
    with_wide!(a.dtype, op.name(), W => zip::<W>(a, b, out, &|a, b| W::binary(op, a, b)))
}

/// An error if one of the divisors is zero.
fn refuse_zeros(op: Binary, divisors: &View<'_>) -> Result<()> {
    let data = Source::<i64>::new(divisors)?;
    let walk = Walk::new([divisors.layout]);
    let ([stride], mut space) = (walk.strides(), [0; PIECE]);
    let mut zero = false;
    walk.run(0..walk.elements(), |piece| {
        zero |= data.read(piece.from[0], stride, piece.len, &mut space).contains(&0);
    });
    if zero { Err(Error::argument(op.name(), format!("{} divided by zero", divisors.dtype))) } else { Ok(()) }
}

pub(super) fn affine(mul: f64, add: f64, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, "affine", W => {
        let (mul, add) = (W::parameter(mul), W::parameter(add));
        map::<W>(x, out, &|v| v.iter_mut().for_each(|v| *v = v.times(mul).plus(add)))
    })
}

pub(super) fn clamp(min: f64, max: f64, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, "clamp", W => {
        let (min, max) = (W::from_f64_as(min, x.dtype), W::from_f64_as(max, x.dtype));
        map::<W>(x, out, &|v| v.iter_mut().for_each(|v| {
            let low = if *v < min { min } else { *v };
            *v = if low > max { max } else { low };
        }))
    })
}

/// `gate(a) * b`
pub(super) fn gated(gate: Gate, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(a.dtype, "gated", W => zip::<W>(a, b, out, &|a, b| W::gate(gate, a, b)))
}

pub(super) fn compare(op: Compare, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(a.dtype, op.name(), W => compare_wide::<W>(op, a, b, out))
}

fn compare_wide<W: Wide>(op: Compare, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    let (a_data, b_data) = (Source::<W>::new(a)?, Source::<W>::new(b)?);
    let mut result = unwritten(out)?;
    let walk = Walk::new([a.layout, b.layout]);
    let [a_stride, b_stride] = walk.strides();
    let shared = Shared::new(result.bytes_mut());
    walk.run_parallel(|piece| {
        let (mut a_space, mut b_space) = ([W::default(); PIECE], [W::default(); PIECE]);
        let a = a_data.read(piece.from[0], a_stride, piece.len, &mut a_space);
        let b = b_data.read(piece.from[1], b_stride, piece.len, &mut b_space);
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
    let mut result = unwritten(out)?;
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

/// Between plain dtypes: through the wide type and then f64 or i64, which hold every value. So there is a loop for each
/// dtype read and each written, not for each pair of them.
pub(super) fn cast(x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, "to_dtype", W => cast_wide::<W>(x, out))
}

fn cast_wide<W: Accumulate>(x: &View<'_>, out: &Meta) -> Result<Buffer> {
    let data = Source::<W>::new(x)?;
    let mut result = unwritten(out)?;
    let walk = Walk::new([x.layout]);
    let ([stride], size) = (walk.strides(), out.dtype.block_bytes());
    let shared = Shared::new(result.bytes_mut());
    walk.run_parallel(|piece| {
        // SAFETY: pieces of a walk do not overlap.
        let bytes = unsafe { shared.part(piece.at * size..(piece.at + piece.len) * size) };
        if out.dtype == W::DTYPE {
            // f16 and bf16 to f32, integers to i64: what loading does.
            return data.load(piece.from[0], stride, bytemuck::cast_slice_mut(bytes));
        }
        let mut space = [W::default(); PIECE];
        let mut totals = [W::Total::ZERO; PIECE];
        let values = data.read(piece.from[0], stride, piece.len, &mut space);
        totals.iter_mut().zip(values).for_each(|(t, v)| *t = v.total());
        shorten_into(&totals[..piece.len], out.dtype, bytes);
    });
    Ok(result)
}

/// Writes values as elements of a plain dtype, which `out` is aligned for.
#[inline(never)]
pub(super) fn shorten_into<A: Total>(values: &[A], dtype: DType, out: &mut [u8]) {
    fn each<A: CastTo<B>, B: Element>(values: &[A], out: &mut [u8]) {
        let out = bytemuck::cast_slice_mut::<u8, B>(out);
        out.iter_mut().zip(values).for_each(|(o, &v)| *o = v.cast());
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
