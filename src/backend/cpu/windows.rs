//! Where the largest element of each window is.

use super::{Buffer, floats, typed, unwritten, walk::for_chunks};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
    op::Windows,
};

/// Results of fewer elements in all are done on one thread.
const PARALLEL: usize = 4 * 1024;

pub(super) fn max_indices(rows: &Windows, columns: &Windows, x: &View<'_>, out: &Meta) -> Result<Buffer> {
    if x.dtype != DType::F64 {
        return planes(rows, columns, x, floats(x)?.as_slice(), out);
    }
    match x.layout.contiguous_range() {
        Some(range) => planes(rows, columns, x, &typed::<f64>(x)?[range], out),
        None => planes(rows, columns, x, super::copy::read(x)?.as_slice::<f64>()?, out),
    }
}

/// `x` holds the planes one after the other. A number that equals nothing, not even itself, is largest.
#[allow(clippy::eq_op, reason = "NaN")]
fn planes<T: Copy + PartialOrd + Send + Sync>(
    rows: &Windows,
    columns: &Windows,
    x: &View<'_>,
    data: &[T],
    out: &Meta,
) -> Result<Buffer> {
    let mut result = unwritten(out)?;
    let (plane, width) = (x.layout.dims()[2] * x.layout.dims()[3], x.layout.dims()[3]);
    let size = rows.spans.len() * columns.spans.len();
    if out.shape.elements() == 0 {
        return Ok(result);
    }
    for_chunks(result.as_slice_mut::<u32>()?, size, out.shape.elements() > PARALLEL, |i, places| {
        let image = &data[i * plane..(i + 1) * plane];
        let windows = rows.spans.iter().flat_map(|row| columns.spans.iter().map(move |column| (row, column)));
        for (place, (&[top, bottom], &[left, right])) in places.iter_mut().zip(windows) {
            let mut at = top * width + left;
            let mut best = image[at];
            'window: for y in (top..bottom).step_by(rows.step) {
                for i in (y * width + left..y * width + right).step_by(columns.step) {
                    let value = image[i];
                    if value > best || value != value {
                        (best, at) = (value, i);
                        if value != value {
                            break 'window;
                        }
                    }
                }
            }
            *place = at as u32;
        }
    });
    Ok(result)
}
