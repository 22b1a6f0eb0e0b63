//! Moving elements: copies between layouts, joins, slices written, casts. Elements are only moved, so kernels go by
//! their size; block formats move as bytes.

use super::{
    Buffer, buffer_of, elementwise, output, packed_of, plain, sized, unwritten,
    walk::{Walk, load},
};
use crate::{
    backend::{Meta, Storage, View},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    quant,
};
use std::sync::Arc;

/// The same elements as bytes: the layout in bytes, for elements or blocks of `dtype`.
fn in_bytes(layout: &Layout, dtype: DType) -> Layout {
    let (len, bytes) = (dtype.block_len(), dtype.block_bytes());
    let mut dims = layout.dims().to_vec();
    let mut strides: Vec<_> = layout.strides().iter().map(|s| s / len * bytes).collect();
    if let (Some(size), Some(stride)) = (dims.last_mut(), strides.last_mut()) {
        (*size, *stride) = (*size / len, bytes);
    }
    dims.push(bytes);
    strides.push(1);
    Layout::new(dims.into(), strides, layout.start() / len * bytes)
}

fn copy_elements<T: Copy>(source: &[T], from: &Layout, target: &mut [T], to: &Layout) {
    let walk = Walk::new([from, to]);
    let [a, b] = walk.strides();
    walk.run(0..walk.elements(), |piece| {
        let ([from, to], len) = (piece.from, piece.len);
        if (a, b) == (1, 1) {
            target[to..to + len].copy_from_slice(&source[from..from + len]);
        } else {
            (0..len).for_each(|i| target[to + i * b] = source[from + i * a]);
        }
    });
}

/// Copies the view's elements into the layout `to` of `target`.
fn copy_into(source: &View<'_>, target: &mut Buffer, to: &Layout) -> Result<()> {
    let (bytes, dtype) = (target.bytes_mut(), source.dtype);
    match dtype.block_bytes() {
        _ if dtype.is_quantized() => {
            let from = in_bytes(source.layout, dtype);
            copy_elements(buffer_of(source)?.bytes(), &from, bytes, &in_bytes(to, dtype));
        }
        1 => copy_elements(sized::<u8>(source)?, source.layout, bytes, to),
        2 => copy_elements(sized::<u16>(source)?, source.layout, bytemuck::cast_slice_mut(bytes), to),
        4 => copy_elements(sized::<u32>(source)?, source.layout, bytemuck::cast_slice_mut(bytes), to),
        _ => copy_elements(sized::<u64>(source)?, source.layout, bytemuck::cast_slice_mut(bytes), to),
    }
    Ok(())
}

/// The elements in row-major order.
pub(super) fn copy(x: &View<'_>, out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(out)?;
    copy_into(x, &mut result, &Layout::contiguous(&out.shape))?;
    Ok(result)
}

/// The view's elements in a buffer of their own.
pub(super) fn read(x: &View<'_>) -> Result<Buffer> {
    let buffer = buffer_of(x)?;
    let whole = x.layout.contiguous_range();
    if whole.is_some_and(|r| r.start == 0 && x.dtype.bytes_for(r.end) == Some(buffer.len())) {
        return Ok(buffer.clone());
    }
    copy(x, &Meta { shape: x.layout.shape().clone(), dtype: x.dtype })
}

pub(super) fn cat(dim: usize, inputs: &[View<'_>], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(out)?;
    let whole = Layout::contiguous(&out.shape);
    let mut start = 0;
    for x in inputs {
        let size = x.layout.dims()[dim];
        copy_into(x, &mut result, &whole.narrow(dim, start, size)?)?;
        start += size;
    }
    Ok(result)
}

pub(super) fn index_select(dim: usize, x: &View<'_>, indices: &[usize], out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(out)?;
    let (dims, strides) = (x.layout.dims(), x.layout.strides());
    if Layout::new(dims[dim + 1..].into(), strides[dim + 1..].to_vec(), 0).is_contiguous() {
        // Slices lie in one piece for each place before `dim`. Block formats are not selected from.
        let (size, stride) = (x.dtype.block_bytes(), strides[dim]);
        let row = dims[dim + 1..].iter().product::<usize>() * size;
        if row > 0 {
            let source = buffer_of(x)?.bytes();
            let outer = Layout::new(dims[..dim].into(), strides[..dim].to_vec(), x.layout.start());
            let from = outer.indices().flat_map(|base| indices.iter().map(move |&i| (base + i * stride) * size));
            let rows = result.bytes_mut().chunks_exact_mut(row);
            rows.zip(from).for_each(|(to, from)| to.copy_from_slice(&source[from..from + row]));
        }
        return Ok(result);
    }
    let whole = Layout::contiguous(&out.shape);
    for (to, &from) in indices.iter().enumerate() {
        let slice = x.layout.narrow(dim, from, 1)?;
        let view = View { storage: x.storage, layout: &slice, dtype: x.dtype };
        copy_into(&view, &mut result, &whole.narrow(dim, to, 1)?)?;
    }
    Ok(result)
}

/// Writes into the target's own memory if this is the only handle to it, else into a copy.
pub(super) fn write_slice(target: Storage, layout: &Layout, source: &View<'_>) -> Result<Storage> {
    let wrong = |_| Error::Device { op: "write_slice", message: "the target is not in main memory".into() };
    let mut target: Arc<Buffer> = target.into_any().downcast().map_err(wrong)?;
    copy_into(source, Arc::make_mut(&mut target), layout)?;
    Ok(target)
}

/// Between any two dtypes; a block format is read through f32, and written from it.
pub(super) fn cast(x: &View<'_>, out: &Meta) -> Result<Buffer> {
    if x.dtype == out.dtype {
        return copy(x, out);
    }
    if !x.dtype.is_quantized() && !out.dtype.is_quantized() {
        return elementwise::cast(x, out);
    }
    let floats = if x.dtype.is_quantized() { dequantize(x)? } else { elementwise::to_f32(x)? };
    if out.dtype == DType::F32 {
        return Ok(floats);
    }
    if out.dtype.is_quantized() {
        // A build that only runs text models is smaller without.
        if cfg!(not(any(feature = "all-ops", feature = "whisper"))) {
            return Err(Error::Unsupported(format!(
                "a build without the feature `all-ops` quantizes nothing ({})",
                out.dtype
            )));
        }
        let mut result = output(out)?;
        quant::quantize(out.dtype, floats.as_slice()?, result.bytes_mut())?;
        return Ok(result);
    }
    let storage: Storage = Arc::new(floats);
    let layout = Layout::contiguous(&out.shape);
    elementwise::cast(&View { storage: &storage, layout: &layout, dtype: DType::F32 }, out)
}

fn dequantize(x: &View<'_>) -> Result<Buffer> {
    let shape = x.layout.shape();
    let mut result = unwritten(&Meta { shape: shape.clone(), dtype: DType::F32 })?;
    let blocks = x.layout.contiguous_range().and_then(|r| Some(x.dtype.bytes_for(r.start)?..x.dtype.bytes_for(r.end)?));
    match blocks {
        Some(range) => quant::dequantize(x.dtype, &buffer_of(x)?.bytes()[range], result.as_slice_mut()?)?,
        None => quant::dequantize(x.dtype, read(x)?.bytes(), result.as_slice_mut()?)?,
    }
    Ok(result)
}

/// Rows of a table of any dtype, as f32.
pub(super) fn embedding(table: &View<'_>, ids: &[usize], out: &Meta) -> Result<Buffer> {
    let d = table.layout.dims()[1];
    let mut result = output(out)?;
    if d == 0 {
        return Ok(result);
    }
    let rows = result.as_slice_mut::<f32>()?.chunks_exact_mut(d);
    let (start, strides) = (table.layout.start(), table.layout.strides());
    if let Some(packed) = packed_of(table) {
        // A view over whole blocks keeps the rows of its table, or is of a part of their columns.
        if (packed.shape().1, strides[1]) != (d, 1) {
            return embedding(&View { storage: &plain(table)?, ..table.clone() }, ids, out);
        }
        for (&id, row) in ids.iter().zip(rows) {
            let at = (start + id * strides[0]) / d;
            quant::dequantize(table.dtype, packed.rows(at..at + 1)?.bytes(), row)?;
        }
        return Ok(result);
    }
    let buffer = buffer_of(table)?;
    for (&id, row) in ids.iter().zip(rows) {
        let from = start + id * strides[0];
        match table.dtype {
            DType::F32 => load(buffer.as_slice::<f32>()?, from, strides[1], row),
            dtype if strides[1] == 1 && dtype != DType::F64 => {
                // A row that adjoins is whole blocks, from a block's beginning.
                let (from, len) = (from / dtype.block_len() * dtype.block_bytes(), dtype.bytes_for(d));
                quant::dequantize(dtype, &buffer.bytes()[from..from + len.unwrap_or(0)], row)?;
            }
            dtype => {
                let layout = table.layout.narrow(0, id, 1)?;
                let row_view = View { storage: table.storage, layout: &layout, dtype };
                row.copy_from_slice(elementwise::to_f32(&row_view)?.as_slice()?);
            }
        }
    }
    Ok(result)
}
