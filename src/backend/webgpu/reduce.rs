//! Reductions, running sums and orders.

use super::{
    WebGpuBackend,
    elementwise::{conversion, limit},
    memory::Memory,
    memory_of,
    params::Params,
    recorder::Job,
    shader::{self, Class, pieces},
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
    layout::Layout,
    op::Reduce,
};

/// From so many elements on, a workgroup makes a result; below, a thread does.
const GROUP: usize = 96;
/// With so many results threads are busy anyway.
const MANY: usize = 16 * 1024;

/// The layout of some of the dimensions.
pub(super) fn part(layout: &Layout, keep: impl Fn(usize) -> bool) -> Layout {
    let kept = || (0..layout.dims().len()).filter(|&i| keep(i));
    let dims: Vec<_> = kept().map(|i| layout.dims()[i]).collect();
    Layout::new(dims.into(), kept().map(|i| layout.strides()[i]).collect(), layout.start())
}

/// Numbers of a kernel over lines along `dim`: where they begin in `x` and in the result; `last` is the fourth number.
pub(super) fn lines(op: &'static str, dim: usize, x: &Layout, to: &Layout, last: usize) -> Result<Params> {
    let (from, target) = (part(x, |i| i != dim), part(to, |i| i != dim));
    let numbers = [x.strides()[dim], x.dims()[dim], to.strides()[dim], last];
    Params::over(op, &[(0, &from), (3, &target)])?.k(op, numbers)
}

impl WebGpuBackend {
    pub(super) fn reduce(&self, reduce: Reduce, dims: &[usize], x: &View<'_>, out: &Meta) -> Result<Memory> {
        let op = reduce.name();
        let (kept, reduced) = (part(x.layout, |i| !dims.contains(&i)), part(x.layout, |i| dims.contains(&i)));
        let (count, size) = (kept.shape().elements(), reduced.shape().elements());
        let params = Params::over(op, &[(0, &kept)])?.inner(op, 1, &reduced)?;
        let by_group = size >= GROUP && !(count >= MANY && size < 1024);
        let kernel = if by_group { &shader::REDUCE_GROUP } else { &shader::REDUCE_THREAD };
        let mean = reduce == Reduce::Mean;
        // Sums of integers wrap at 32 bits, whether they were signed or not.
        let convert = if Class::of(x.dtype) == Class::Uint && Class::of(out.dtype) == Class::Int {
            "uint_to_int"
        } else {
            conversion(x.dtype, out.dtype)
        };
        let job = Job::threads(op, kernel, Class::of(out.dtype), &[memory_of(x)?], out.dtype, params)
            .word("OP", op)
            .number("LIMIT", limit(out.dtype))
            .word("CONVERT", convert)
            .piece(if mean { pieces::FINISH_MEAN } else { pieces::FINISH_PLAIN });
        self.run(if by_group { job.lines() } else { job }, out)
    }

    /// Running sums or products.
    pub(super) fn scan(
        &self,
        op: &'static str,
        reduce: Reduce,
        dim: usize,
        x: &View<'_>,
        out: &Meta,
    ) -> Result<Memory> {
        let params = lines(op, dim, x.layout, &Layout::contiguous(&out.shape), 0)?;
        let convert = if Class::of(x.dtype) == Class::Uint { "uint_to_int" } else { conversion(x.dtype, out.dtype) };
        let job = Job::threads(op, &shader::SCAN, Class::of(out.dtype), &[memory_of(x)?], out.dtype, params)
            .number("LIMIT", limit(out.dtype))
            .word("OP", reduce.name())
            .word("CONVERT", convert);
        self.run(job.lines(), out)
    }

    /// As many of the order as the result has room for.
    pub(super) fn sort(
        &self,
        op: &'static str,
        dim: usize,
        descending: bool,
        x: &View<'_>,
        out: &Meta,
    ) -> Result<Memory> {
        let (elements, kept) = (x.layout.shape().elements(), out.shape.dims()[dim]);
        let params = lines(op, dim, x.layout, &Layout::contiguous(&out.shape), kept)?.count(op, elements)?;
        let job = Job::threads(op, &shader::SORT, Class::of(x.dtype), &[memory_of(x)?], DType::U32, params);
        self.run(job.flag("DESCENDING", descending), out)
    }
}
