//! Matrix products and products with weights: layouts and dtypes are settled here, the work is in [`super::matmul`].

use super::{
    Buffer, buffer_of, copy, floats,
    matmul::{Activations, PANEL, Packed, gemm_f32, linear_f32, linear_packed},
    num::{Wide, with_wide},
    output, packed_of, plain, pool,
    simd::Isa,
    typed, unwritten,
    walk::for_chunks,
    walk::{Source, fill},
};
use crate::{
    backend::{Meta, Storage, View},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
};
use std::{cell::OnceCell, sync::Arc};

/// f32 values in row-major order as a plain dtype.
pub(super) fn shorten(values: Buffer, out: &Meta) -> Result<Buffer> {
    if out.dtype == DType::F32 {
        return Ok(values);
    }
    let storage: Storage = Arc::new(values);
    let layout = Layout::contiguous(&out.shape);
    copy::cast(&View { storage: &storage, layout: &layout, dtype: DType::F32 }, out)
}

pub(super) fn as_f32(meta: &Meta) -> Meta {
    Meta { shape: meta.shape.clone(), dtype: DType::F32 }
}

/// `x · wᵀ + bias` for x of f32, f16 or bf16.
pub(super) fn linear(x: &View<'_>, w: &View<'_>, bias: Option<&View<'_>>, out: &Meta) -> Result<Buffer> {
    let mut result = unwritten(&as_f32(out))?;
    let product = result.as_slice_mut::<f32>()?;
    product_into(&Rows::new(floats(x)?.as_slice()), w, product)?;
    if let Some(bias) = bias {
        let bias = floats(bias)?;
        for row in product.chunks_exact_mut(bias.as_slice().len().max(1)) {
            row.iter_mut().zip(bias.as_slice()).for_each(|(o, b)| *o += b);
        }
    }
    shorten(result, out)
}

/// The left operand of products with one weight or several: it is quantized once for all that are of block formats.
pub(super) struct Rows<'a> {
    values: &'a [f32],
    quantized: OnceCell<Activations>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [f32]) -> Self {
        Self { values, quantized: OnceCell::new() }
    }
    /// As rows of `k` values, a multiple of 32: the same in every call.
    fn quantized(&self, k: usize) -> Result<&Activations> {
        if let Some(quantized) = self.quantized.get() {
            return Ok(quantized);
        }
        let quantized = Activations::new(Isa::best(), self.values, k)?;
        Ok(self.quantized.get_or_init(|| quantized))
    }
}

/// A weight that is whole rows of a packed one, from that row on.
fn packed_rows<'a>(w: &View<'a>) -> Option<(&'a Packed, usize)> {
    let (packed, range) = (packed_of(w)?, w.layout.contiguous_range()?);
    let &[_, k] = w.layout.dims() else { return None };
    (k > 0 && k == packed.shape().1 && range.start.is_multiple_of(k)).then(|| (packed, range.start / k))
}

/// As [`product_into`], with rows of the result `stride` apart: `out` begins with the first product, and `m` rows of it are
/// written.
pub(super) fn product_into_columns(
    rows: &Rows<'_>,
    w: &View<'_>,
    m: usize,
    out: &mut [f32],
    stride: usize,
) -> Result<()> {
    let n = w.layout.dims()[0];
    if m == 1 || n == stride {
        return product_into(rows, w, &mut out[..m * n]);
    }
    if let Some((packed, first)) = packed_rows(w).filter(|(_, first)| first.is_multiple_of(PANEL)) {
        return linear_packed(rows.quantized(packed.shape().1)?, packed, first, n, out, stride);
    }
    let mut part = Buffer::unwritten(4 * m * n)?;
    product_into(rows, w, part.as_slice_mut()?)?;
    let part = part.as_slice::<f32>()?.chunks_exact(n.max(1));
    out.chunks_mut(stride.max(1)).zip(part).for_each(|(to, from)| to[..n].copy_from_slice(from));
    Ok(())
}

/// Fills `out` with the products `[m, n]` of the rows of `x`, `[m, k]`, and those of a weight `[n, k]`.
pub(super) fn product_into(rows: &Rows<'_>, w: &View<'_>, out: &mut [f32]) -> Result<()> {
    let x = rows.values;
    let &[n, k] = w.layout.dims() else {
        return Err(Error::shape("linear", format!("weight of shape {}", w.layout.shape())));
    };
    let Some(m) = out.len().checked_div(n).filter(|_| k > 0) else {
        out.fill(0.0);
        return Ok(());
    };
    if packed_of(w).is_some() {
        return match packed_rows(w) {
            Some((packed, first)) if first.is_multiple_of(PANEL) => {
                linear_packed(rows.quantized(k)?, packed, first, n, out, n)
            }
            Some((packed, first)) => linear_f32(x, m, k, packed.rows(first..first + n)?.bytes(), w.dtype, n, out),
            None => product_into(rows, &View { storage: &plain(w)?, ..w.clone() }, out),
        };
    }
    match w.layout.contiguous_range().and_then(|r| Some(w.dtype.bytes_for(r.start)?..w.dtype.bytes_for(r.end)?)) {
        Some(range) if w.dtype != DType::F64 => linear_f32(x, m, k, &buffer_of(w)?.bytes()[range], w.dtype, n, out),
        _ if w.dtype.is_quantized() => linear_f32(x, m, k, copy::read(w)?.bytes(), w.dtype, n, out),
        _ if w.dtype == DType::F32 => {
            let (data, strides) = (&typed::<f32>(w)?[w.layout.start()..], w.layout.strides());
            gemm_f32(x, (k, 1), data, (strides[1], strides[0]), out, m, k, n)
        }
        _ => {
            let w = floats(w)?;
            linear_f32(x, m, k, bytemuck::cast_slice(w.as_slice()), DType::F32, n, out)
        }
    }
}

/// Batched product of matrices of one dtype.
pub(super) fn matmul(a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    match out.dtype {
        DType::F32 => matmul_f32(typed(a)?, a.layout, typed(b)?, b.layout, out),
        DType::F16 | DType::BF16 => {
            let (a, b) = (floats(a)?, floats(b)?);
            let (a_layout, b_layout) = (Layout::contiguous(a.shape()), Layout::contiguous(b.shape()));
            shorten(matmul_f32(a.as_slice(), &a_layout, b.as_slice(), &b_layout, &as_f32(out))?, out)
        }
        dtype => with_wide!(dtype, "matmul", W => matmul_plain::<W>(a, b, out)),
    }
}

/// Start of each matrix of a batch.
fn batches(layout: &Layout) -> Layout {
    let outer = layout.dims().len() - 2;
    Layout::new(layout.dims()[..outer].into(), layout.strides()[..outer].to_vec(), layout.start())
}

/// Rows, columns and their strides.
fn matrix(layout: &Layout) -> ((usize, usize), (usize, usize)) {
    let (d, s) = (layout.dims(), layout.strides());
    let r = d.len() - 2;
    ((d[r], d[r + 1]), (s[r], s[r + 1]))
}

fn matmul_f32(a: &[f32], a_layout: &Layout, b: &[f32], b_layout: &Layout, out: &Meta) -> Result<Buffer> {
    let (((m, k), a_strides), ((_, n), b_strides)) = (matrix(a_layout), matrix(b_layout));
    if m == 0 || n == 0 || k == 0 {
        return output(out);
    }
    let mut result = unwritten(out)?;
    let batches = batches(a_layout).indices().zip(batches(b_layout).indices()).collect::<Vec<_>>();
    let product = result.as_slice_mut::<f32>()?;
    // One right matrix for a whole batch of left ones that adjoin: one tall product.
    let shared = batches.windows(2).all(|w| w[0].1 == w[1].1 && w[1].0 == w[0].0 + m * a_strides.0);
    if shared && let Some(&(from_a, from_b)) = batches.first() {
        return gemm_f32(&a[from_a..], a_strides, &b[from_b..], b_strides, product, m * batches.len(), k, n)
            .map(|()| result);
    }
    let each = |i: usize, c: &mut [f32]| {
        let (from_a, from_b) = batches[i];
        gemm_f32(&a[from_a..], a_strides, &b[from_b..], b_strides, c, m, k, n)
    };
    // The first alone, which says what is wrong with all of them.
    let (first, rest) = product.split_at_mut((m * n).min(product.len()));
    if !batches.is_empty() {
        each(0, first)?;
    }
    let side_by_side = batches.len() > pool::threads() && m * n * k < LARGE;
    for_chunks(rest, m * n, side_by_side, |i, c| _ = each(i + 1, c));
    Ok(result)
}

/// Matrices of a batch with fewer multiply-adds are multiplied side by side, larger ones each on all threads.
const LARGE: usize = 1 << 22;

/// f64 and integers, for which nothing fast is needed.
fn matmul_plain<W: Wide>(a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Buffer> {
    let (a_data, b_data) = (Source::<W>::new(a)?, Source::<W>::new(b)?);
    let (((m, k), a_strides), ((_, n), b_strides)) = (matrix(a.layout), matrix(b.layout));
    let mut result = output(out)?;
    let rows = result.bytes_mut().chunks_exact_mut((n * out.dtype.block_bytes()).max(1));
    let (a_batches, b_batches) = (batches(a.layout), batches(b.layout));
    let starts = a_batches.indices().zip(b_batches.indices());
    let starts = starts.flat_map(|(from_a, from_b)| (0..m).map(move |i| (from_a + i * a_strides.0, from_b)));
    let (mut left, mut right) = (vec![W::ZERO; k], vec![W::ZERO; n]);
    for ((from_a, from_b), row) in starts.zip(rows) {
        let left = a_data.read(from_a, a_strides.1, k, &mut left);
        fill(row, out.dtype, |row| {
            row.fill(W::ZERO);
            for (l, &a) in left.iter().enumerate() {
                let right = b_data.read(from_b + l * b_strides.0, b_strides.1, n, &mut right);
                row.iter_mut().zip(right).for_each(|(o, &b)| *o = o.plus(a.times(b)));
            }
        });
    }
    Ok(result)
}
