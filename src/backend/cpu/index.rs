//! Gather and scatter by integer indices, which are checked here: their values are data.

use super::{
    Buffer, copy,
    num::{Num, Wide, with_num},
    sized, typed, unwritten,
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
};

/// The indices in row-major order, each below `limit`.
pub(super) fn values(op: &'static str, indices: &View<'_>, limit: usize) -> Result<Vec<usize>> {
    let check = |value: i64| match usize::try_from(value) {
        Ok(index) if index < limit => Ok(index),
        _ => Err(Error::argument(op, format!("index {value} is outside 0..{limit}"))),
    };
    let integers;
    // An index in another dtype is converted first, so that few kinds of memory are read here.
    let (indices, layout) = match indices.dtype {
        DType::I64 => (typed::<i64>(indices)?, indices.layout.clone()),
        _ => {
            let meta = Meta { shape: indices.layout.shape().clone(), dtype: DType::I64 };
            integers = copy::cast(indices, &meta)?;
            (integers.as_slice()?, Layout::contiguous(&meta.shape))
        }
    };
    layout.indices().map(|i| check(indices[i])).collect()
}

/// `layout`, but standing still along `dim` and as large as `shape`: where each index begins to count.
fn bases(layout: &Layout, dim: usize, shape: &[usize]) -> Layout {
    let mut strides = layout.strides().to_vec();
    strides[dim] = 0;
    Layout::new(shape.into(), strides, layout.start())
}

pub(super) fn gather(dim: usize, x: &View<'_>, indices: &View<'_>, out: &Meta) -> Result<Buffer> {
    match x.dtype.block_bytes() {
        1 => gather_sized::<u8>(dim, x, indices, out),
        2 => gather_sized::<u16>(dim, x, indices, out),
        4 => gather_sized::<u32>(dim, x, indices, out),
        _ => gather_sized::<u64>(dim, x, indices, out),
    }
}

fn gather_sized<T: bytemuck::Pod>(dim: usize, x: &View<'_>, indices: &View<'_>, out: &Meta) -> Result<Buffer> {
    let data = sized::<T>(x)?;
    let at = values("gather", indices, x.layout.dims()[dim])?;
    let stride = x.layout.strides()[dim];
    let mut result = unwritten(out)?;
    let bases = bases(x.layout, dim, indices.layout.dims());
    let values = bytemuck::cast_slice_mut::<u8, T>(result.bytes_mut());
    for ((o, base), index) in values.iter_mut().zip(bases.indices()).zip(at) {
        *o = data[base + index * stride];
    }
    Ok(result)
}

pub(super) fn scatter_add(
    dim: usize,
    x: &View<'_>,
    indices: &View<'_>,
    source: &View<'_>,
    out: &Meta,
) -> Result<Buffer> {
    let at = values("scatter_add", indices, x.layout.dims()[dim])?;
    let mut result = copy::copy(x, out)?;
    let whole = Layout::contiguous(&out.shape);
    let (stride, bases) = (whole.strides()[dim], bases(&whole, dim, indices.layout.dims()));
    with_num!(x.dtype, "scatter_add", T => {
        let data = typed::<T>(source)?;
        let values = result.as_slice_mut::<T>()?;
        for ((from, base), index) in source.layout.indices().zip(bases.indices()).zip(at) {
            let value = &mut values[base + index * stride];
            *value = T::shorten(value.widen().plus(data[from].widen()));
        }
        Ok(result)
    })
}

/// Of repeated indices the last in row-major order wins.
pub(super) fn scatter(dim: usize, x: &View<'_>, indices: &View<'_>, source: &View<'_>, out: &Meta) -> Result<Buffer> {
    let at = values("scatter", indices, x.layout.dims()[dim])?;
    let mut result = copy::copy(x, out)?;
    let whole = Layout::contiguous(&out.shape);
    let to: Vec<_> = bases(&whole, dim, indices.layout.dims()).indices().collect();
    let stride = whole.strides()[dim];
    let places = source.layout.indices().zip(to.into_iter().zip(at).map(|(base, index)| base + index * stride));
    match x.dtype.block_bytes() {
        1 => move_each::<u8>(source, result.bytes_mut(), places),
        2 => move_each::<u16>(source, result.bytes_mut(), places),
        4 => move_each::<u32>(source, result.bytes_mut(), places),
        _ => move_each::<u64>(source, result.bytes_mut(), places),
    }?;
    Ok(result)
}

/// Elements of one size moved from the first of each pair to the second.
fn move_each<T: bytemuck::Pod>(
    source: &View<'_>,
    target: &mut [u8],
    places: impl Iterator<Item = (usize, usize)>,
) -> Result<()> {
    let (data, target) = (sized::<T>(source)?, bytemuck::cast_slice_mut::<u8, T>(target));
    places.for_each(|(from, to)| target[to] = data[from]);
    Ok(())
}
