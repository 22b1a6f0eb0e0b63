//! Drawing tokens, and where the largest and smallest elements are.

use super::{
    WebGpuBackend,
    memory::Memory,
    memory_of,
    params::Params,
    recorder::{Groups, Job},
    reduce::{lines, part},
    shader::{self, Class, Piece, pieces},
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
    layout::Layout,
    op::Sampling,
};

/// Longer lines are shared by workgroups, so many elements each.
const SHARE: usize = 2048;

/// How values of a line are read, and from which memory besides the line's.
struct Source<'a> {
    pieces: Vec<Piece>,
    floor: Option<&'a Memory>,
    /// Inverse of the temperature.
    scale: f32,
    /// Seed and number of the draw.
    random: [usize; 4],
}

impl WebGpuBackend {
    pub(super) fn arg_reduce(&self, max: bool, dim: usize, x: &View<'_>, out: &Meta) -> Result<Memory> {
        let op = if max { "argmax" } else { "argmin" };
        let source = Source { pieces: vec![pieces::PLAIN_VALUE], floor: None, scale: 0.0, random: [0; 4] };
        self.arg_best(op, max, dim, x, &source, out)
    }

    /// Where the best of each line along `dim` is: in two rounds, if lines are long.
    fn arg_best(
        &self,
        op: &'static str,
        max: bool,
        dim: usize,
        x: &View<'_>,
        source: &Source<'_>,
        out: &Meta,
    ) -> Result<Memory> {
        let from = part(x.layout, |i| i != dim);
        let (count, size, step) = (from.shape().elements(), x.layout.dims()[dim], x.layout.strides()[dim]);
        let job = |found: Option<&'_ Memory>, parts: usize| -> Result<Memory> {
            let shared = found.is_none() && parts > 1;
            let candidates = if shared {
                SHARE
            } else if found.is_some() {
                parts
            } else {
                size
            };
            let tasks = if shared { count * parts } else { count };
            let params = Params::over(op, &[(0, &from)])?
                .k(op, [step, size, candidates, parts])?
                .inner_words(op, 0, &source.random)?
                .f([source.scale, 0.0])
                .count(op, tasks)?;
            let (mut operands, mut names) = (vec![memory_of(x)?], vec!["a"]);
            for (memory, name) in [(source.floor, "floor"), (found, "found")] {
                if let Some(memory) = memory {
                    operands.push(memory);
                    names.push(name);
                }
            }
            let mut job = Job::threads(op, &shader::ARG_REDUCE, Class::of(x.dtype), &operands, DType::U32, params)
                .flag("LARGEST", max)
                .flag("SHARED", shared);
            job.pieces = source.pieces.clone();
            job = job.piece(if found.is_some() { pieces::LISTED } else { pieces::EVERY });
            job.names = names;
            job.groups = Groups::Lines(tasks);
            let meta = Meta { shape: if shared { [tasks].into() } else { out.shape.clone() }, dtype: DType::U32 };
            self.run(job, &meta)
        };
        let parts = size.div_ceil(SHARE);
        if parts <= 1 {
            return job(None, 1);
        }
        job(Some(&job(None, parts)?), parts)
    }

    pub(super) fn sample(&self, sampling: &Sampling, logits: &View<'_>, out: &Meta) -> Result<Memory> {
        const OP: &str = "sample";
        if sampling.temperature == 0.0 {
            return self.arg_reduce(true, 1, logits, out);
        }
        let tokens = logits.layout.dims()[1];
        let scale = 1.0 / sampling.temperature;
        let floor = if sampling.filters(tokens) {
            let top_k = if sampling.counts(tokens) { sampling.top_k as usize } else { 0 };
            let rows = Meta { shape: out.shape.clone(), dtype: DType::U32 };
            let mut params = lines(OP, 1, logits.layout, &Layout::contiguous([out.shape.elements(), 1]), 0)?;
            params = params.k(OP, [logits.layout.strides()[1], tokens, top_k, 0])?;
            params = params.f([scale, sampling.top_p, sampling.min_p]);
            let operands = [memory_of(logits)?];
            let job = Job::threads(OP, &shader::SAMPLE_FLOOR, Class::Float, &operands, DType::U32, params);
            Some(self.run(job.lines(), &rows)?)
        } else {
            None
        };
        let halves = |x: u64| [(x & 0xffff_ffff) as usize, (x >> 32) as usize];
        let ([a, b], [c, d]) = (halves(sampling.seed), halves(sampling.draw));
        let mut pieces = vec![pieces::PHILOX, pieces::ORDER, pieces::FUNCTIONS];
        pieces.push(if floor.is_some() { pieces::ABOVE_FLOOR } else { pieces::ALL_KEPT });
        pieces.push(pieces::NOISY_VALUE);
        let source = Source { pieces, floor: floor.as_ref(), scale, random: [a, b, c, d] };
        self.arg_best(OP, true, 1, logits, &source, out)
    }
}
