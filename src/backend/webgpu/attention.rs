//! Attention without the matrix of all scores.

use super::{
    WebGpuBackend,
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
};

/// Threads of a workgroup, and keys of a block.
const THREADS: usize = 64;
/// Largest heads that the kernel takes: of queries, which it keeps in the workgroup's memory, and of values, of which each
/// thread keeps some columns. Larger ones run as the decomposition.
const QUERY: usize = 1024;
const VALUE: usize = 512;
/// With up to so many queries of a head, the keys are shared by workgroups, which would be too few otherwise.
const FEW_QUERIES: usize = 8;
/// By how many workgroups at most. The room for what they leave is of this size always, so that it does not depend on the
/// number of keys.
const PARTS: usize = 16;

/// Queries and keys of a workgroup's tile, by the larger size of heads: together within 16 KiB, which every device has. `None`:
/// queries go one by one.
fn tile(size: usize) -> Option<(usize, usize)> {
    match size {
        0..=64 => Some((16, 32)),
        65..=128 => Some((8, 16)),
        129..=256 => Some((4, 8)),
        _ => None,
    }
}

impl WebGpuBackend {
    pub(super) fn attention(
        &self,
        (scale, causal, window, softcap): (f32, bool, Option<usize>, Option<f32>),
        inputs: &[View<'_>],
        out: &Meta,
    ) -> Result<Option<Memory>> {
        const OP: &str = "attention";
        let [q, k, v, mask @ ..] = inputs else { return Ok(None) };
        let (&[b, h, t, d], &[_, g, s, e]) = (q.layout.dims(), v.layout.dims()) else { return Ok(None) };
        // A window of nothing sees nothing, which 0 does not mean to the kernel.
        if d > QUERY || e > VALUE || window == Some(0) {
            return Ok(None);
        }
        let mut operands = vec![(0, q.layout), (1, k.layout), (2, v.layout)];
        let mut memories = vec![memory_of(q)?, memory_of(k)?, memory_of(v)?];
        let mask_layout: Layout;
        if let Some(mask) = mask.first() {
            mask_layout = mask.layout.broadcast_to(&[b, h, t, s].into())?;
            operands.push((3, &mask_layout));
            memories.push(memory_of(mask)?);
        }
        let split = t <= FEW_QUERIES;
        let seen = window.map_or(s, |window| window.min(s)).max(1);
        let share = seen.div_ceil(PARTS).next_multiple_of(THREADS);
        let parts = if split { seen.div_ceil(share) } else { 1 };
        let tile = if split { None } else { tile(d.max(e)) };
        let lines = b * h * tile.map_or(t, |(rows, _)| t.div_ceil(rows));
        let params = Params::plain(OP, &[b, h, t, d], &operands)?
            .inner_words(OP, 0, &[g, s, e, window.unwrap_or(0).min(u32::MAX as usize)])?
            .f([scale, softcap.unwrap_or(0.0)])
            .k(OP, [parts, share, 0, 0])?
            .count(OP, lines * parts)?;
        let written = if split { DType::F32 } else { out.dtype };
        let kernel = if tile.is_some() { &shader::ATTENTION_TILE } else { &shader::ATTENTION };
        let job = Job::threads(OP, kernel, Class::Float, &memories, written, params)
            .number("COLUMNS", e.div_ceil(THREADS).max(1) as u32)
            .flag("CAUSAL", causal);
        let job = match tile {
            Some((rows, keys)) => job
                .number("ROWS", rows as u32)
                .number("KEYS", keys as u32)
                .number("SIZE", d.max(e).next_multiple_of(THREADS) as u32),
            None => job.number("QUERY", d.next_multiple_of(THREADS) as u32).flag("SPLIT", split),
        };
        let mut job = job.piece(if mask.is_empty() { pieces::WITHOUT_MASK } else { pieces::WITH_MASK });
        job.workgroup = THREADS as u32;
        if !split {
            return self.run(job.lines(), out).map(Some);
        }
        let room = Meta { shape: [lines * PARTS, e + 2].into(), dtype: DType::F32 };
        let left = self.run(job.lines(), &room)?;
        let params = Params::new(OP, lines)?.k(OP, [parts, e, 0, 0])?;
        let mut job = Job::threads(OP, &shader::ATTENTION_JOIN, Class::Float, &[&left], out.dtype, params);
        job.workgroup = THREADS as u32;
        self.run(job.lines(), out).map(Some)
    }
}
