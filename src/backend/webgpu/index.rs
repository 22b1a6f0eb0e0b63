//! Gathering and scattering by indices on the device, which cannot be reported when they are out of range.

use super::{
    WebGpuBackend,
    elementwise::row_distance,
    memory::Memory,
    memory_of,
    params::Params,
    recorder::Job,
    shader::{self, Class},
};
use crate::{
    backend::{Meta, Storage, View},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    op::Windows,
};
use std::sync::Arc;

/// `layout`, but standing still along `dim` and as large as `shape`.
fn still(layout: &Layout, dim: usize, shape: &[usize]) -> Layout {
    let mut strides = layout.strides().to_vec();
    strides[dim] = 0;
    Layout::new(shape.into(), strides, layout.start())
}

/// The function that brings an index into range.
fn index_function(dtype: DType) -> &'static str {
    if Class::of(dtype) == Class::Uint { "uint_index" } else { "int_index" }
}

fn some_rows(op: &'static str, size: usize, out: &Meta) -> Result<()> {
    if size == 0 && out.shape.elements() > 0 {
        return Err(Error::argument(op, "every index is outside of a dimension without elements"));
    }
    Ok(())
}

impl WebGpuBackend {
    pub(super) fn gather(
        &self,
        op: &'static str,
        dim: usize,
        x: &View<'_>,
        indices: &View<'_>,
        out: &Meta,
    ) -> Result<Memory> {
        let (size, stride) = (x.layout.dims()[dim], x.layout.strides()[dim]);
        some_rows(op, size, out)?;
        let bases = still(x.layout, dim, out.shape.dims());
        let params = Params::over(op, &[(0, &bases), (1, indices.layout)])?.k(op, [stride, size, 0, 0])?;
        let operands = [memory_of(x)?, memory_of(indices)?];
        let job = Job::threads(op, &shader::GATHER, Class::of(x.dtype), &operands, out.dtype, params);
        self.run(job.word("INDEX", index_function(indices.dtype)), out)
    }

    /// As gathering by the indices repeated along all other dimensions.
    pub(super) fn index_select(&self, dim: usize, x: &View<'_>, indices: &View<'_>, out: &Meta) -> Result<Memory> {
        let mut strides = vec![0; out.shape.rank()];
        strides[dim] = indices.layout.strides()[0];
        let repeated = Layout::new(out.shape.clone(), strides, indices.layout.start());
        let view = View { storage: indices.storage, layout: &repeated, dtype: indices.dtype };
        self.gather("index_select", dim, x, &view, out)
    }

    /// Adds at the indices, or puts there.
    pub(super) fn scatter(&self, op: &'static str, dim: usize, inputs: &[View<'_>], out: &Meta) -> Result<Memory> {
        let [x, indices, source] = inputs else { return Err(Error::argument(op, "takes three inputs")) };
        let dims = out.shape.dims();
        let (b, c) = (still(indices.layout, dim, dims), still(source.layout, dim, dims));
        let along = [indices, source].map(|v| v.layout.strides()[dim]);
        let params = Params::plain(op, dims, &[(0, x.layout), (1, &b), (2, &c)])?
            .inner_words(op, 0, indices.layout.dims())?
            .k(op, [dim, along[0], along[1], indices.layout.dims()[dim]])?;
        let operands = [memory_of(x)?, memory_of(indices)?, memory_of(source)?];
        let function = if Class::of(indices.dtype) == Class::Uint { "uint_is" } else { "int_is" };
        let job = Job::threads(op, &shader::SCATTER, Class::of(x.dtype), &operands, out.dtype, params);
        self.run(job.word("INDEXIS", function).flag("ADD", op == "scatter_add"), out)
    }

    pub(super) fn embedding(&self, ids: &View<'_>, table: &View<'_>, out: &Meta) -> Result<Memory> {
        const OP: &str = "embedding";
        let (storage, layout);
        let table = if let Some(rows) = self.rows_that_adjoin(OP, table)? {
            (storage, layout) = rows;
            View { storage: &storage, layout: &layout, dtype: table.dtype }
        } else {
            table.clone()
        };
        let &[rows, _] = table.layout.dims() else { return Err(Error::argument(OP, "takes a matrix")) };
        some_rows(OP, rows, out)?;
        let memory = self.fresh(OP, out.dtype, out.shape.elements())?;
        if out.shape.elements() > 0 {
            self.embed(ids, &table, 0, rows, out, &memory)?;
        }
        Ok(memory)
    }

    /// Those of the ids among rows `first..` of a table of `all` rows that are in this part of it.
    pub(super) fn embed(
        &self,
        ids: &View<'_>,
        table: &View<'_>,
        first: usize,
        all: usize,
        out: &Meta,
        result: &Memory,
    ) -> Result<()> {
        const OP: &str = "embedding";
        let &[rows, columns] = table.layout.dims() else { return Err(Error::argument(OP, "takes a matrix")) };
        let distance = table.layout.strides()[0];
        let count = ids.layout.shape().elements() * columns.div_ceil(8);
        let mut params = Params::over(OP, &[(0, ids.layout)])?
            .k(OP, [columns, distance, all, first])?
            .count(OP, count)?
            .inner_words(OP, 0, &[rows])?;
        params.start(OP, 1, table.layout.start())?;
        let operands = [memory_of(ids)?, memory_of(table)?];
        let mut job = Job::threads(OP, &shader::EMBEDDING, Class::Float, &operands, out.dtype, params)
            .word("INDEX", index_function(ids.dtype));
        job.eights = 0b10;
        self.recorder.record(job, result)
    }

    /// A copy of a matrix whose rows' elements do not adjoin; `None` if they do.
    pub(super) fn rows_that_adjoin(&self, op: &'static str, x: &View<'_>) -> Result<Option<(Storage, Layout)>> {
        let last = x.layout.dims().len() - 1;
        let rows = Layout::new(x.layout.dims()[..last].into(), x.layout.strides()[..last].to_vec(), x.layout.start());
        let adjoin = x.layout.strides()[last] == 1 || x.layout.dims()[last] == 1;
        if adjoin && row_distance(&rows, x.layout.dims()[last]).is_some() {
            return Ok(None);
        }
        let out = Meta { shape: x.layout.shape().clone(), dtype: x.dtype };
        let copy: Storage = Arc::new(self.copy(op, x, &out)?);
        Ok(Some((copy, Layout::contiguous(&out.shape))))
    }

    pub(super) fn max_indices(&self, rows: &Windows, columns: &Windows, x: &View<'_>, out: &Meta) -> Result<Memory> {
        const OP: &str = "max_pool2d";
        let spans: Vec<u32> =
            [rows, columns].iter().flat_map(|w| w.spans.iter().flatten()).map(|&n| n as u32).collect();
        let count = spans.len().into();
        let spans = self.hold(bytemuck::cast_slice(&spans), DType::U32, &count)?;
        let spans = View { storage: &spans, layout: &Layout::contiguous(count), dtype: DType::U32 };
        let (dims, strides) = (x.layout.dims(), x.layout.strides());
        let images = Layout::new(dims[..2].into(), strides[..2].to_vec(), x.layout.start());
        let params = Params::over(OP, &[(0, &images)])?
            .inner_words(OP, 0, &[strides[2], strides[3], dims[3]])?
            .k(OP, [rows.spans.len(), columns.spans.len(), rows.step, columns.step])?
            .count(OP, out.shape.elements())?;
        let operands = [memory_of(x)?, memory_of(&spans)?];
        self.run(Job::threads(OP, &shader::MAX_INDICES, Class::of(x.dtype), &operands, out.dtype, params), out)
    }
}
