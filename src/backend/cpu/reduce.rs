//! Reductions, running sums and orders. Floats accumulate in f32 lanes over short pieces and in f64 across them.

use super::{
    Buffer,
    elementwise::shorten_into,
    num::{CastTo, Wide, with_wide},
    simd::{Loops, run_best},
    unwritten,
    walk::{PIECE, Source, Walk},
};
use crate::{
    backend::{Meta, View},
    error::Result,
    layout::Layout,
    op::Reduce,
};
use half::{bf16, f16};
use std::cmp::Ordering;

/// What reductions accumulate in: f64 or i64, converted to any dtype at the end.
pub(super) trait Total:
    Wide + CastTo<f32> + CastTo<f16> + CastTo<bf16> + CastTo<f64> + CastTo<i64> + CastTo<i32> + CastTo<u32> + CastTo<u8>
{
}
impl Total for f64 {}
impl Total for i64 {}

/// A wide type and what its reductions accumulate in: f64 for floats, i64 for integers.
pub(super) trait Accumulate: Wide {
    type Total: Total;
    fn total(self) -> Self::Total;
    fn sum(x: &[Self]) -> Self::Total;
}
macro_rules! accumulate_float {
    ($($t:ident),*) => { $(
        impl Accumulate for $t {
            type Total = f64;
            fn total(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn sum(x: &[$t]) -> f64 {
                let mut lanes = [0 as $t; 16];
                let chunks = x.chunks_exact(16);
                let rest: f64 = chunks.remainder().iter().map(|&v| f64::from(v)).sum();
                for chunk in chunks {
                    lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v);
                }
                rest + lanes.iter().map(|&v| f64::from(v)).sum::<f64>()
            }
        }
    )* };
}
accumulate_float!(f32, f64);
impl Accumulate for i64 {
    type Total = i64;
    fn total(self) -> i64 {
        self
    }
    #[inline(always)]
    fn sum(x: &[i64]) -> i64 {
        x.iter().fold(0, |sum, &v| sum.wrapping_add(v))
    }
}

/// The larger (or smaller) element, NaN if there is one.
#[inline(always)]
pub(super) fn extreme<W: Wide>(x: &[W], pick: impl Fn(W, W) -> W, first: W) -> W {
    let mut lanes = [first; 16];
    let chunks = x.chunks_exact(16);
    let rest = chunks.remainder().iter().fold(first, |a, &v| pick(a, v));
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(l, &v)| *l = pick(*l, v));
    }
    lanes.into_iter().fold(rest, pick)
}

/// One piece reduced. Not inlined: one copy for each wide type.
#[inline(never)]
fn fold_piece<W: Accumulate>(reduce: Reduce, x: &[W]) -> W::Total {
    struct Fold<'a, W: Accumulate>(Reduce, &'a [W], &'a mut W::Total);
    impl<W: Accumulate> Loops for Fold<'_, W> {
        #[inline(always)]
        fn run(self) {
            let Self(reduce, x, total) = self;
            *total = match reduce {
                Reduce::Sum | Reduce::Mean => W::sum(x),
                Reduce::Prod => x.iter().fold(W::Total::ONE, |a, v| a.times(v.total())),
                Reduce::Max => extreme(x, W::larger, W::LOWEST).total(),
                Reduce::Min => extreme(x, W::smaller, W::HIGHEST).total(),
            };
        }
    }
    let mut total = W::Total::ZERO;
    run_best(Fold(reduce, x, &mut total));
    total
}

/// Two partial results joined.
fn combine<A: Wide>(reduce: Reduce, a: A, b: A) -> A {
    match reduce {
        Reduce::Sum | Reduce::Mean => a.plus(b),
        Reduce::Prod => a.times(b),
        Reduce::Max => a.larger(b),
        Reduce::Min => a.smaller(b),
    }
}

/// The result of nothing.
fn neutral<A: Wide>(reduce: Reduce) -> A {
    match reduce {
        Reduce::Sum | Reduce::Mean => A::ZERO,
        Reduce::Prod => A::ONE,
        Reduce::Max => A::LOWEST,
        Reduce::Min => A::HIGHEST,
    }
}

/// The layout of some of the dimensions.
fn part(layout: &Layout, keep: impl Fn(usize) -> bool) -> Layout {
    let kept = || (0..layout.dims().len()).filter(|&i| keep(i));
    let dims: Vec<_> = kept().map(|i| layout.dims()[i]).collect();
    Layout::new(dims.into(), kept().map(|i| layout.strides()[i]).collect(), layout.start())
}

pub(super) fn reduce(reduce: Reduce, dims: &[usize], x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, reduce.name(), W => {
        let mut totals = totals::<W>(reduce, dims, x)?;
        if reduce == Reduce::Mean {
            let count: usize = dims.iter().map(|&d| x.layout.dims()[d]).product();
            totals.iter_mut().for_each(|t| *t = mean(*t, count));
        }
        store(&totals, out)
    })
}

/// Totals as the dtype of the result.
fn store<A: Total>(totals: &[A], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(out)?;
    shorten_into(totals, out.dtype, result.bytes_mut());
    Ok(result)
}

fn mean<A: Wide>(total: A, count: usize) -> A {
    A::from_f64(total.to_f64() / count as f64)
}

fn totals<W: Accumulate>(reduce: Reduce, dims: &[usize], x: &View<'_>) -> Result<Vec<W::Total>> {
    let data = Source::<W>::new(x)?;
    let kept = part(x.layout, |i| !dims.contains(&i));
    let walk = Walk::new([&part(x.layout, |i| dims.contains(&i))]);
    let [stride] = walk.strides();
    let mut totals = vec![neutral(reduce); kept.shape().elements()];
    let mut space = [W::default(); PIECE];
    let columns = kept.dims().last().copied().unwrap_or(1);
    if stride != 1 && columns > 1 && kept.strides().last() == Some(&1) {
        // Kept elements adjoin, reduced ones do not: add whole rows of kept ones.
        let rows = part(&kept, |i| i + 1 < kept.dims().len());
        for (row, start) in rows.indices().enumerate() {
            let row = &mut totals[row * columns..(row + 1) * columns];
            walk.run(0..walk.elements(), |piece| {
                for i in 0..piece.len {
                    let from = start + piece.from[0] - x.layout.start() + i * stride;
                    for (c, totals) in row.chunks_mut(PIECE).enumerate() {
                        let values = data.read(from + c * PIECE, 1, totals.len(), &mut space);
                        totals.iter_mut().zip(values).for_each(|(t, v)| *t = combine(reduce, *t, v.total()));
                    }
                }
            });
        }
        return Ok(totals);
    }
    for (total, start) in totals.iter_mut().zip(kept.indices()) {
        walk.run(0..walk.elements(), |piece| {
            let from = start + piece.from[0] - x.layout.start();
            let values = data.read(from, stride, piece.len, &mut space);
            *total = combine(reduce, *total, fold_piece(reduce, values));
        });
    }
    Ok(totals)
}

/// Storage index of the beginning of every line along `dim`.
pub(super) fn lines(layout: &Layout, dim: usize) -> Layout {
    part(layout, |i| i != dim)
}

pub(super) fn arg_reduce(max: bool, dim: usize, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, "argmax", W => arg_reduce_wide::<W>(max, dim, x, out))
}

fn arg_reduce_wide<W: Wide>(max: bool, dim: usize, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    let data = Source::<W>::new(x)?;
    let (size, stride) = (x.layout.dims()[dim], x.layout.strides()[dim]);
    let mut result = unwritten(out)?;
    let mut space = [W::default(); PIECE];
    for (o, start) in result.as_slice_mut::<u32>()?.iter_mut().zip(lines(x.layout, dim).indices()) {
        let mut best: Option<(W, usize)> = None;
        for from in (0..size).step_by(PIECE) {
            let values = data.read(start + from * stride, stride, PIECE.min(size - from), &mut space);
            let top = if max { extreme(values, W::larger, W::LOWEST) } else { extreme(values, W::smaller, W::HIGHEST) };
            let better = best.is_none_or(|(b, _)| !b.is_nan() && (top.is_nan() || if max { top > b } else { top < b }));
            if better {
                let at = values.iter().position(|&v| v == top || (v.is_nan() && top.is_nan()));
                best = Some((top, from + at.unwrap_or(0)));
            }
        }
        *o = best.map_or(0, |(_, at)| at as u32);
    }
    Ok(result)
}

/// Running sums or products along `dim`.
pub(super) fn cumulate(reduce: Reduce, dim: usize, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, reduce.name(), W => cumulate_wide::<W>(reduce, dim, x, out))
}

fn cumulate_wide<W: Accumulate>(reduce: Reduce, dim: usize, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    let whole = Layout::contiguous(&out.shape);
    let to = whole.strides()[dim];
    let data = Source::<W>::new(x)?;
    let (size, stride) = (x.layout.dims()[dim], x.layout.strides()[dim]);
    let mut totals = vec![W::Total::ZERO; whole.shape().elements()];
    let mut line = vec![W::default(); size];
    for (from, at) in lines(x.layout, dim).indices().zip(lines(&whole, dim).indices()) {
        let mut total = neutral(reduce);
        for (i, value) in data.read(from, stride, size, &mut line).iter().enumerate() {
            total = combine(reduce, total, value.total());
            totals[at + i * to] = total;
        }
    }
    store(&totals, out)
}

/// NaN is larger than any number.
fn order<W: Wide>(a: &W, b: &W) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The `keep` first u32 indices of each line along `dim` in the wanted order, equals by index.
pub(super) fn arg_sort(dim: usize, descending: bool, keep: usize, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    with_wide!(x.dtype, "argsort", W => arg_sort_wide::<W>(dim, descending, keep, x, out))
}

fn arg_sort_wide<W: Accumulate>(dim: usize, descending: bool, keep: usize, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    let whole = Layout::contiguous(&out.shape);
    let to = whole.strides()[dim];
    let data = Source::<W>::new(x)?;
    let (size, stride) = (x.layout.dims()[dim], x.layout.strides()[dim]);
    let mut result = unwritten(out)?;
    let indices = result.as_slice_mut::<u32>()?;
    let (mut space, mut line) = (vec![W::default(); size], Vec::with_capacity(size));
    for (from, at) in lines(x.layout, dim).indices().zip(lines(&whole, dim).indices()) {
        let values = data.read(from, stride, size, &mut space);
        line.clear();
        line.extend(values.iter().zip(0..).map(|(v, i)| (v.total(), i)));
        sort_line(&mut line, keep, descending);
        line.iter().enumerate().for_each(|(i, &(_, index))| indices[at + i * to] = index);
    }
    Ok(result)
}

/// Sorts values with their indices and keeps the first.
#[inline(never)]
fn sort_line<A: Total>(line: &mut Vec<(A, u32)>, keep: usize, descending: bool) {
    let compare = |a: &(A, u32), b: &(A, u32)| {
        let by_value = if descending { order(&b.0, &a.0) } else { order(&a.0, &b.0) };
        by_value.then(a.1.cmp(&b.1))
    };
    if keep > 0 && keep < line.len() {
        line.select_nth_unstable_by(keep - 1, compare);
    }
    line.truncate(keep);
    line.sort_unstable_by(compare);
}
