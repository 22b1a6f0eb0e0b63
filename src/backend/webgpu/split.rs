//! Matrices too large for one binding: whole rows in several memories. Linear layers and embeddings read them part by part;
//! other operations take what lies in one part.

use super::{WebGpuBackend, memory::Memory, stored};
use crate::{
    backend::{DeviceBuffer, Meta, Storage, View},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    op::Op,
};
use std::{any::Any, ops::Range, sync::Arc};

/// Rows of a tensor in memories of their own.
#[derive(Debug)]
pub(super) struct Split {
    pub parts: Vec<Part>,
}

/// Some of the rows.
#[derive(Debug)]
pub(super) struct Part {
    pub memory: Storage,
    /// Its first element among all.
    pub first: usize,
    pub elements: usize,
}

impl DeviceBuffer for Split {
    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.memory.bytes()).sum()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// How many elements a part has, so that each has whole rows, no more than `most` bytes and words to the end, and is counted in 32
/// bits; `None` where not even a few rows are as small.
pub(super) fn part_elements(row: usize, dtype: DType, most: u64) -> Option<usize> {
    const ROWS: usize = 4; // of any number of bytes fill words
    let bytes = dtype.bytes_for(row)?.checked_mul(ROWS)?;
    let groups = (most / bytes.max(1) as u64).min((u32::MAX / 2) as u64 / (row * ROWS).max(1) as u64);
    (groups > 0).then(|| groups as usize * row * ROWS)
}

fn split_of<'a>(view: &View<'a>) -> Option<&'a Split> {
    view.storage.as_any().downcast_ref()
}

/// First and last element of a view that is not empty.
fn extent(layout: &Layout) -> Range<usize> {
    let steps = layout.dims().iter().zip(layout.strides()).map(|(size, stride)| (size - 1) * stride);
    let start = layout.start();
    start..start + steps.sum::<usize>() + 1
}

fn moved(layout: &Layout, first: usize) -> Layout {
    Layout::new(layout.shape().clone(), layout.strides().to_vec(), layout.start() - first)
}

/// The view over the one part that holds all of it.
pub(super) fn within<'a>(split: &'a Split, view: &View<'_>) -> Option<(&'a Part, Layout)> {
    if view.layout.shape().elements() == 0 {
        return Some((&split.parts[0], Layout::contiguous(view.layout.shape())));
    }
    let wanted = extent(view.layout);
    let part = split.parts.iter().find(|p| p.first <= wanted.start && wanted.end <= p.first + p.elements)?;
    Some((part, moved(view.layout, part.first)))
}

/// The rows of a matrix in each part, as numbers of rows and the view over them.
fn rows<'a>(split: &'a Split, table: &View<'_>) -> Option<Vec<(Range<usize>, &'a Part, Layout)>> {
    let (&[n, k], &[distance, step]) = (table.layout.dims(), table.layout.strides()) else { return None };
    if step != 1 && k != 1 || n == 0 || k == 0 {
        return None;
    }
    let mut found = Vec::new();
    for part in &split.parts {
        // Rows that begin in it.
        let before = |element: usize| element.saturating_sub(table.layout.start()).div_ceil(distance.max(1)).min(n);
        let rows = before(part.first)..before(part.first + part.elements);
        if rows.is_empty() {
            continue;
        }
        let view = moved(&table.layout.narrow(0, rows.start, rows.len()).ok()?, part.first);
        if extent(&view).end > part.elements {
            return None;
        }
        found.push((rows, part, view));
    }
    Some(found)
}

impl WebGpuBackend {
    /// Runs an operation of which an operand is in parts. The outer `None`: none is.
    pub(super) fn execute_split(&self, op: &Op, inputs: &[View<'_>], out: &Meta) -> Result<Option<Option<Storage>>> {
        if inputs.iter().all(|x| split_of(x).is_none()) {
            return Ok(None);
        }
        if out.shape.elements() > 0 {
            match (op, inputs) {
                (Op::Linear, [x, w, bias @ ..]) if split_of(x).is_none() => {
                    if let Some(parts) = split_of(w).and_then(|split| rows(split, w)) {
                        return self.linear_parts(x, w.dtype, &parts, bias.first(), out).map(|m| Some(Some(stored(m))));
                    }
                }
                (Op::Embedding { .. }, [ids, table]) => {
                    if let Some(parts) = split_of(table).and_then(|split| rows(split, table)) {
                        let result = self.embedding_parts(ids, table, &parts, out)?;
                        return Ok(Some(Some(stored(result))));
                    }
                }
                _ => {}
            }
        }
        let found: Vec<_> = inputs
            .iter()
            .map(|view| match split_of(view) {
                Some(split) => within(split, view).map(|(part, layout)| (&part.memory, layout)),
                None => Some((view.storage, view.layout.clone())),
            })
            .collect();
        if found.iter().all(Option::is_some) {
            let moved: Vec<_> = found.iter().flatten().collect();
            let views = moved.iter().zip(inputs).map(|((storage, layout), x)| View { storage, layout, dtype: x.dtype });
            return self.execute_whole(op, &views.collect::<Vec<_>>(), out).map(Some);
        }
        if decomposes(op) {
            return Ok(Some(None));
        }
        let bytes = inputs.iter().filter_map(split_of).map(DeviceBuffer::bytes).max().unwrap_or(0);
        let message = format!(
            "an operand of {bytes} bytes is in parts, since {} binds {} bytes at once; linear and embedding read it so",
            self.gpu.name(),
            self.pool.most()
        );
        Err(Error::Device { op: op.name(), message })
    }

    fn linear_parts(
        &self,
        x: &View<'_>,
        dtype: DType,
        parts: &[(Range<usize>, &Part, Layout)],
        bias: Option<&View<'_>>,
        out: &Meta,
    ) -> Result<Memory> {
        const OP: &str = "linear";
        let memory = self.fresh(OP, out.dtype, out.shape.elements())?;
        let (whole, last) = (Layout::contiguous(&out.shape), out.shape.rank() - 1);
        for (rows, part, layout) in parts {
            let to = whole.narrow(last, rows.start, rows.len())?;
            let bias_layout = bias.map(|b| b.layout.narrow(0, rows.start, rows.len())).transpose()?;
            let mut inputs = vec![x.clone(), View { storage: &part.memory, layout, dtype }];
            if let (Some(bias), Some(layout)) = (bias, &bias_layout) {
                inputs.push(View { storage: bias.storage, layout, dtype: bias.dtype });
            }
            let some = Meta { shape: to.shape().clone(), dtype: out.dtype };
            let result = stored(self.linear(&inputs, &some)?);
            let layout = Layout::contiguous(&some.shape);
            self.copy_into(OP, &View { storage: &result, layout: &layout, dtype: out.dtype }, &memory, out.dtype, &to)?;
        }
        Ok(memory)
    }

    fn embedding_parts(
        &self,
        ids: &View<'_>,
        table: &View<'_>,
        parts: &[(Range<usize>, &Part, Layout)],
        out: &Meta,
    ) -> Result<Memory> {
        let memory = self.fresh("embedding", out.dtype, out.shape.elements())?;
        let all = table.layout.dims()[0];
        for (rows, part, layout) in parts {
            let table = View { storage: &part.memory, layout, dtype: table.dtype };
            self.embed(ids, &table, rows.start, all, out, &memory)?;
        }
        Ok(memory)
    }
}

/// Has it a decomposition that may do without the whole operand at once?
fn decomposes(op: &Op) -> bool {
    !matches!(
        op,
        Op::Copy
            | Op::Cast(_)
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Affine { .. }
            | Op::Clamp { .. }
            | Op::Compare(_)
            | Op::Where
            | Op::Cat { .. }
            | Op::Gather { .. }
            | Op::IndexSelect { .. }
            | Op::Scatter { .. }
            | Op::ScatterAdd { .. }
            | Op::Reduce { .. }
            | Op::Matmul
            | Op::Linear
            | Op::Embedding { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_whole_rows_and_end_at_words() {
        // 18 bytes a row: 72 for four.
        assert_eq!(part_elements(32, DType::Q4_0, 200), Some(2 * 4 * 32));
        assert_eq!(part_elements(32, DType::Q4_0, 71), None);
        assert_eq!(part_elements(1, DType::U8, 1 << 40), Some((u32::MAX / 2 / 4 * 4) as usize));
    }
}
