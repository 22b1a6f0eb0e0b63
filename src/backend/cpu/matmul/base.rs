//! Checks arguments, chooses the kernel, splits the work.

use super::{
    activations::Activations,
    blocked,
    float::{DotProducts, Matrix, RowSums},
    packed::{PANEL, Packed},
    quantized::{self, Source},
};
use crate::{
    backend::cpu::{
        pool::{parallel, threads},
        simd::Isa,
    },
    dtype::DType,
    error::{Error, Result},
};
use std::ops::Range;

/// From this many rows on, packing float panels pays.
const MANY_ROWS: usize = 6;
/// Multiply-adds that are worth a task of their own.
pub(super) const TASK: usize = 1 << 16;

/// A result that tasks write disjoint parts of.
#[derive(Clone, Copy)]
pub(in crate::backend::cpu) struct Target(*mut f32);
// SAFETY: the kernels' promise: no two tasks write the same element, and nobody reads before all are done.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}
impl Target {
    /// A result that is written through this while nothing else reads or writes it.
    pub(in crate::backend::cpu) fn new(result: &mut [f32]) -> Self {
        Self(result.as_mut_ptr())
    }
    /// The part of a result from `index` on.
    ///
    /// # Safety
    /// `index` is inside the result.
    #[inline(always)]
    pub(super) unsafe fn offset(self, index: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.add(index) })
    }
    /// # Safety
    /// `index` is inside the result, and this task's own.
    #[inline(always)]
    pub(in crate::backend::cpu) unsafe fn write(self, index: usize, value: f32) {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index).write(value) }
    }
    /// # Safety
    /// `index` is inside the result, and this task's own.
    #[inline(always)]
    pub(in crate::backend::cpu) unsafe fn at(self, index: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index) }
    }
}

/// Runs `f` over ranges that together are `0..n`, in parallel; `work` is the cost of one.
fn split(n: usize, work: usize, f: impl Fn(Range<usize>) + Sync) {
    // multiples of 16 keep panels whole
    let step = (TASK / work.max(1)).next_multiple_of(16).clamp(16, n.max(16));
    parallel(n.div_ceil(step), |i| f(i * step..((i + 1) * step).min(n)));
}

/// `out[m, n] = x[m, k] · wᵀ`, where `w` holds `n` contiguous rows of `k` values of `w_dtype`
/// (f32, f16, bf16 or any block format). `out` is overwritten.
///
/// # Errors
/// When a slice does not have the size that `m`, `k`, `n` and `w_dtype` imply, or `w_dtype` is no weight dtype.
pub fn linear_f32(x: &[f32], m: usize, k: usize, w: &[u8], w_dtype: DType, n: usize, out: &mut [f32]) -> Result<()> {
    linear_f32_on(Isa::best(), x, m, k, w, w_dtype, n, out)
}

/// [`linear_f32`] with the instructions of `isa`, for tests and benchmarks.
///
/// # Errors
/// Also when this machine does not have them.
#[allow(clippy::too_many_arguments)]
pub fn linear_f32_on(
    isa: Isa,
    x: &[f32],
    m: usize,
    k: usize,
    w: &[u8],
    w_dtype: DType,
    n: usize,
    out: &mut [f32],
) -> Result<()> {
    check_isa("linear", isa)?;
    let row_bytes = w_dtype.bytes_for(k).ok_or_else(|| {
        let block = w_dtype.block_len();
        Error::shape("linear", format!("rows of {k} values do not fill whole blocks of {block} of {w_dtype}"))
    })?;
    let sizes = (m.checked_mul(k), n.checked_mul(row_bytes), m.checked_mul(n));
    if sizes != (Some(x.len()), Some(w.len()), Some(out.len())) {
        return Err(Error::shape(
            "linear",
            format!(
                "x of {} values, weight of {} bytes of {w_dtype} and result of {} values are not [{m}, {k}] · [{n}, {k}]ᵀ",
                x.len(),
                w.len(),
                out.len()
            ),
        ));
    }
    if k == 0 || out.is_empty() {
        out.fill(0.0);
        return Ok(());
    }
    match w_dtype {
        DType::F32 | DType::F16 | DType::BF16 => {
            let b = Matrix { bytes: w, dtype: w_dtype, strides: (1, k) };
            // SAFETY: sizes and instruction set were checked above.
            unsafe { float_product(isa, x, (k, 1), b, out, m, k, n) };
        }
        _ if w_dtype.is_quantized() => {
            quantized::product(&Activations::new(isa, x, k)?, Source::Rows(w_dtype, w), n, out, n);
        }
        _ => {
            return Err(Error::dtype("linear", format!("weights of {w_dtype}; cast them to f32, f16 or bf16")));
        }
    }
    Ok(())
}

/// `out[m, n] = x · wᵀ` for `m` quantized rows of `x` and `n` packed rows of `w` from row `first` on; rows of the result are
/// `stride` apart.
///
/// # Errors
/// When there are no such rows, they do not begin with a panel, or `x` and `out` do not have the size that they imply.
pub fn linear_packed(
    x: &Activations,
    w: &Packed,
    first: usize,
    n: usize,
    out: &mut [f32],
    stride: usize,
) -> Result<()> {
    let inside = first.is_multiple_of(PANEL) && first.checked_add(n).is_some_and(|last| last <= w.rows);
    let end = x.m.saturating_sub(1).checked_mul(stride).and_then(|last| last.checked_add(n));
    let fits = x.m == 0 || end.is_some_and(|end| end <= out.len());
    if !inside || x.groups * 32 != w.columns || !fits || stride < n {
        let message = format!(
            "x of shape [{}, {}] and result of {} values are not x · [{n}, ..]ᵀ of {w:?} from row {first} on",
            x.m,
            x.groups * 32,
            out.len(),
        );
        return Err(Error::shape("linear", message));
    }
    if w.columns == 0 || x.m == 0 || n == 0 {
        out.chunks_mut(stride.max(1)).take(x.m).for_each(|row| row[..n].fill(0.0));
        return Ok(());
    }
    quantized::product(x, Source::Packed(w, first / PANEL), n, out, stride);
    Ok(())
}

/// `c[m, n] = a[m, k] · b[k, n]` for f32 matrices with any (row, column) strides in elements; `c` is contiguous and
/// overwritten.
///
/// # Errors
/// When a matrix reaches outside its slice or `c` is not `m * n` long.
#[allow(clippy::too_many_arguments)]
pub fn gemm_f32(
    a: &[f32],
    a_strides: (usize, usize),
    b: &[f32],
    b_strides: (usize, usize),
    c: &mut [f32],
    m: usize,
    k: usize,
    n: usize,
) -> Result<()> {
    gemm_f32_on(Isa::best(), a, a_strides, b, b_strides, c, m, k, n)
}

/// [`gemm_f32`] with the instructions of `isa`, for tests and benchmarks.
///
/// # Errors
/// Also when this machine does not have them.
#[allow(clippy::too_many_arguments)]
pub fn gemm_f32_on(
    isa: Isa,
    a: &[f32],
    a_strides: (usize, usize),
    b: &[f32],
    b_strides: (usize, usize),
    c: &mut [f32],
    m: usize,
    k: usize,
    n: usize,
) -> Result<()> {
    check_isa("gemm", isa)?;
    check_matrix("a", a.len(), a_strides, (m, k))?;
    check_matrix("b", b.len(), b_strides, (k, n))?;
    if m.checked_mul(n) != Some(c.len()) {
        return Err(Error::shape("gemm", format!("result of {} values is not [{m}, {n}]", c.len())));
    }
    if k == 0 || c.is_empty() {
        c.fill(0.0);
        return Ok(());
    }
    let b = Matrix { bytes: bytemuck::cast_slice(b), dtype: DType::F32, strides: b_strides };
    // SAFETY: matrices and instruction set were checked above.
    unsafe { float_product(isa, a, a_strides, b, c, m, k, n) };
    Ok(())
}

/// # Safety
/// The processor has `isa`; `a`, `b` and `c` have all elements of `[m, k]`, `[k, n]` and `[m, n]`, none of them empty.
#[allow(clippy::too_many_arguments)]
unsafe fn float_product(
    isa: Isa,
    a: &[f32],
    a_strides: (usize, usize),
    b: Matrix<'_>,
    c: &mut [f32],
    m: usize,
    k: usize,
    n: usize,
) {
    let out = Target::new(c);
    // SAFETY: the caller's promise, and tasks have different columns.
    unsafe {
        if m < MANY_ROWS && b.strides.0 == 1 && a_strides.1 == 1 && (m == 1 || a_strides.0 == k) {
            let a = &a[..m * k];
            split(n, m * k, |columns| isa.run(DotProducts { a, b, columns, out, k, n }));
        } else if m < MANY_ROWS && b.strides.1 == 1 && b.dtype == DType::F32 {
            // Long pieces of rows: memory is read in order, and the result stays in the first-level cache.
            let step = n.div_ceil(threads()).next_multiple_of(16).clamp(512, 4096);
            parallel(n.div_ceil(step), |i| {
                let columns = i * step..((i + 1) * step).min(n);
                isa.run(RowSums { a, a_strides, b, columns, out, m, k, n });
            });
        } else {
            blocked::product(isa, a, a_strides, b, out, m, k, n);
        }
    }
}

pub(in crate::backend::cpu) fn check_isa(op: &'static str, isa: Isa) -> Result<()> {
    if Isa::available().contains(&isa) {
        return Ok(());
    }
    Err(Error::Device { op, message: format!("this machine has no {isa}") })
}

/// Are all elements of a matrix of that shape and those strides inside a slice of `len`?
fn check_matrix(name: &str, len: usize, strides: (usize, usize), (rows, columns): (usize, usize)) -> Result<()> {
    if rows == 0 || columns == 0 {
        return Ok(());
    }
    let last =
        (rows - 1).checked_mul(strides.0).zip((columns - 1).checked_mul(strides.1)).and_then(|(r, c)| r.checked_add(c));
    match last {
        Some(last) if last < len => Ok(()),
        _ => Err(Error::shape(
            "gemm",
            format!("{name} of shape [{rows}, {columns}] and strides {strides:?} reaches outside its {len} values"),
        )),
    }
}
