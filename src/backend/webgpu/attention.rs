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
    error::Result,
    layout::Layout,
};

/// Threads of a workgroup, and keys of a block.
const THREADS: usize = 64;
/// Largest heads that the kernel takes: of queries, which it keeps in the workgroup's memory, and of values, of which each
/// thread keeps some columns. Larger ones run as the decomposition.
const QUERY: usize = 1024;
const VALUE: usize = 512;

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
        let params = Params::plain(OP, &[b, h, t, d], &operands)?
            .inner_words(OP, 0, &[g, s, e, window.unwrap_or(0).min(u32::MAX as usize)])?
            .f([scale, softcap.unwrap_or(0.0)])
            .count(OP, b * h * t)?;
        let mut job = Job::threads(OP, &shader::ATTENTION, Class::Float, &memories, out.dtype, params)
            .number("QUERY", d.next_multiple_of(THREADS).max(THREADS) as u32)
            .number("COLUMNS", e.div_ceil(THREADS).max(1) as u32)
            .flag("CAUSAL", causal)
            .piece(if mask.is_empty() { pieces::WITHOUT_MASK } else { pieces::WITH_MASK });
        job.workgroup = THREADS as u32;
        self.run(job.lines(), out).map(Some)
    }
}
