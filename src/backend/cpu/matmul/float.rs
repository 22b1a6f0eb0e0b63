//! Float products: few rows by dot products along memory, many by packed panels and register tiles.

use super::Target;
use crate::{
    backend::cpu::simd::{Kernel, Simd, f16_to_f32},
    dtype::DType,
};
use std::ops::Range;

/// Rows of `a` in a register tile.
pub(super) const TILE: usize = 4;
/// Inner length of a packed panel: it stays in the first-level cache (8 KB of 8 columns).
const DEPTH: usize = 256;
/// Weight rows that share the loaded activations of a dot product.
const ROWS: usize = 4;

/// `b[k, n]` as bytes of f32, f16 or bf16, with distances in elements from one row (along k) and column to the next.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub bytes: &'a [u8],
    pub dtype: DType,
    pub strides: (usize, usize),
}

impl Matrix<'_> {
    /// One element.
    #[inline(always)]
    unsafe fn at(&self, row: usize, column: usize) -> f32 {
        let index = row * self.strides.0 + column * self.strides.1;
        // SAFETY: the kernels stay inside the matrix, which was checked to be inside the bytes; read unaligned.
        unsafe {
            match self.dtype {
                DType::F16 => f16_to_f32(self.bytes.as_ptr().cast::<u16>().add(index).read_unaligned()),
                DType::BF16 => {
                    let bits = self.bytes.as_ptr().cast::<u16>().add(index).read_unaligned();
                    f32::from_bits(u32::from(bits) << 16)
                }
                _ => self.bytes.as_ptr().cast::<f32>().add(index).read_unaligned(),
            }
        }
    }
    /// Elements from (`row`, `column`) on in memory order, as many as lanes.
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, row: usize, column: usize) -> S::F32 {
        let index = row * self.strides.0 + column * self.strides.1;
        // SAFETY: as above.
        unsafe {
            match self.dtype {
                DType::F16 => S::load_f16(self.bytes.as_ptr().add(2 * index)),
                DType::BF16 => S::load_bf16(self.bytes.as_ptr().add(2 * index)),
                _ => S::load(self.bytes.as_ptr().add(4 * index).cast()),
            }
        }
    }
}

/// `out[t, column] = a[t] · b[.., column]` for some columns, where `a` has contiguous rows and `b` contiguous columns.
///
/// The kernel's promise: `a` is `[m, k]`, `b` is inside its bytes, `out` is `[m, n]` and nobody else writes `columns`.
pub(super) struct DotProducts<'a> {
    pub a: &'a [f32],
    pub b: Matrix<'a>,
    pub columns: Range<usize>,
    pub out: Target,
    pub k: usize,
    pub n: usize,
}

impl Kernel for DotProducts<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { a, mut b, columns, out, k, n } = self;
        // SAFETY: the kernel's promise.
        unsafe {
            // one copy of the loop for each dtype
            match b.dtype {
                DType::F16 => {
                    b.dtype = DType::F16;
                    dots::<S>(a, b, columns, out, k, n);
                }
                DType::BF16 => {
                    b.dtype = DType::BF16;
                    dots::<S>(a, b, columns, out, k, n);
                }
                _ => {
                    b.dtype = DType::F32;
                    dots::<S>(a, b, columns, out, k, n);
                }
            }
        }
    }
}

/// # Safety
/// As for [`DotProducts`].
#[inline(always)]
unsafe fn dots<S: Simd>(a: &[f32], b: Matrix<'_>, columns: Range<usize>, out: Target, k: usize, n: usize) {
    let whole = k / (2 * S::LANES) * (2 * S::LANES);
    // SAFETY: the caller's promise.
    unsafe {
        for first in columns.clone().step_by(ROWS) {
            let column: [usize; ROWS] = std::array::from_fn(|r| (first + r).min(columns.end - 1));
            for (t, a) in a.chunks_exact(k).enumerate() {
                let mut acc = [[S::splat(0.0); 2]; ROWS];
                for l in (0..whole).step_by(2 * S::LANES) {
                    let x = [S::load(a.as_ptr().add(l)), S::load(a.as_ptr().add(l + S::LANES))];
                    for r in 0..ROWS {
                        acc[r][0] = S::mul_add(x[0], b.load::<S>(l, column[r]), acc[r][0]);
                        acc[r][1] = S::mul_add(x[1], b.load::<S>(l + S::LANES, column[r]), acc[r][1]);
                    }
                }
                for r in 0..ROWS.min(columns.end - first) {
                    let mut sum = S::sum(S::add(acc[r][0], acc[r][1]));
                    for (l, x) in a.iter().enumerate().skip(whole) {
                        sum += x * b.at(l, column[r]);
                    }
                    out.write(t * n + first + r, sum);
                }
            }
        }
    }
}

/// `out[t, columns] = a[t] · b[.., columns]` for a few rows of `a`, where `b` is f32 with contiguous rows.
/// The promise is that of [`DotProducts`].
pub(super) struct RowSums<'a> {
    pub a: &'a [f32],
    pub a_strides: (usize, usize),
    pub b: Matrix<'a>,
    pub columns: Range<usize>,
    pub out: Target,
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

impl Kernel for RowSums<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { a, a_strides, b, columns, out, m, k, n } = self;
        let width = 4 * S::LANES;
        // SAFETY: the kernel's promise.
        unsafe {
            for t in 0..m {
                let x = |l: usize| a[t * a_strides.0 + l * a_strides.1];
                let mut first = columns.start;
                while first + width <= columns.end {
                    let mut acc = [S::splat(0.0); 4];
                    for l in 0..k {
                        let x = S::splat(x(l));
                        for (i, acc) in acc.iter_mut().enumerate() {
                            *acc = S::mul_add(x, b.load::<S>(l, first + i * S::LANES), *acc);
                        }
                    }
                    for (i, acc) in acc.into_iter().enumerate() {
                        S::store(out.at(t * n + first + i * S::LANES), acc);
                    }
                    first += width;
                }
                for column in first..columns.end {
                    let mut sum = 0.0;
                    for l in 0..k {
                        sum += x(l) * b.at(l, column);
                    }
                    out.write(t * n + column, sum);
                }
            }
        }
    }
}

/// Rows of `a` reordered for register tiles: `[tiles][k][TILE]`, the last tile filled up with zeros.
pub(super) fn pack_rows(a: &[f32], strides: (usize, usize), m: usize, k: usize) -> Vec<f32> {
    let mut packed = vec![0.0; m.next_multiple_of(TILE) * k];
    for (tile, packed) in packed.chunks_exact_mut(TILE * k).enumerate() {
        for t in 0..TILE.min(m - tile * TILE) {
            let from = (tile * TILE + t) * strides.0;
            for l in 0..k {
                packed[l * TILE + t] = a[from + l * strides.1];
            }
        }
    }
    packed
}

/// `out[t, column]` for some columns and all rows, from packed rows of `a`; the promise is that of [`DotProducts`].
pub(super) struct MatrixProduct<'a> {
    /// By [`pack_rows`].
    pub a: &'a [f32],
    pub b: Matrix<'a>,
    pub columns: Range<usize>,
    pub out: Target,
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

impl Kernel for MatrixProduct<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { a, b, columns, out, m, k, n } = self;
        let width = 2 * S::LANES;
        let mut panel = vec![0.0f32; DEPTH * width];
        let mut acc = vec![0.0f32; m.next_multiple_of(TILE) * width];
        // SAFETY: the kernel's promise; panel and accumulators are as long as laid out.
        unsafe {
            for first in columns.clone().step_by(width) {
                acc.fill(0.0);
                let used = width.min(columns.end - first);
                for start in (0..k).step_by(DEPTH) {
                    let depth = DEPTH.min(k - start);
                    pack_columns::<S>(b, start..start + depth, first..first + used, &mut panel);
                    for (tile, acc) in acc.chunks_exact_mut(TILE * width).enumerate() {
                        let rows = a[(tile * k + start) * TILE..][..depth * TILE].as_ptr();
                        tile_product::<S>(rows, panel.as_ptr(), depth, acc.as_mut_ptr());
                    }
                }
                for t in 0..m {
                    for (j, value) in acc[t * width..][..used].iter().enumerate() {
                        out.write(t * n + first + j, *value);
                    }
                }
            }
        }
    }
}

/// Packs a part of `b` as `[rows][2 registers]` of f32.
///
/// # Safety
/// `b` has those rows and columns.
#[inline(always)]
unsafe fn pack_columns<S: Simd>(b: Matrix<'_>, rows: Range<usize>, columns: Range<usize>, panel: &mut [f32]) {
    let width = 2 * S::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        if b.strides.1 == 1 && columns.len() == width {
            for (row, panel) in rows.zip(panel.chunks_exact_mut(width)) {
                S::store(panel.as_mut_ptr(), b.load::<S>(row, columns.start));
                S::store(panel[S::LANES..].as_mut_ptr(), b.load::<S>(row, columns.start + S::LANES));
            }
        } else if b.strides.0 == 1 {
            let mut lanes = [0.0f32; 16];
            for (j, column) in columns.enumerate() {
                let mut row = rows.start;
                while row + S::LANES <= rows.end {
                    S::store(lanes.as_mut_ptr(), b.load::<S>(row, column));
                    for (i, value) in lanes[..S::LANES].iter().enumerate() {
                        panel[(row - rows.start + i) * width + j] = *value;
                    }
                    row += S::LANES;
                }
                for row in row..rows.end {
                    panel[(row - rows.start) * width + j] = b.at(row, column);
                }
            }
        } else {
            for (row, panel) in rows.zip(panel.chunks_exact_mut(width)) {
                for (column, value) in columns.clone().zip(panel) {
                    *value = b.at(row, column);
                }
            }
        }
    }
}

/// Adds the product of `[depth][TILE]` and `[depth][2 registers]` to `acc`, `[TILE][2 registers]`.
///
/// # Safety
/// Pointers are to that much memory.
#[inline(always)]
unsafe fn tile_product<S: Simd>(mut a: *const f32, mut b: *const f32, depth: usize, acc: *mut f32) {
    let width = 2 * S::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = [[S::splat(0.0); 2]; TILE];
        for (t, sum) in sum.iter_mut().enumerate() {
            *sum = [S::load(acc.add(t * width)), S::load(acc.add(t * width + S::LANES))];
        }
        for _ in 0..depth {
            let columns = [S::load(b), S::load(b.add(S::LANES))];
            for (t, sum) in sum.iter_mut().enumerate() {
                let x = S::splat(*a.add(t));
                *sum = [S::mul_add(x, columns[0], sum[0]), S::mul_add(x, columns[1], sum[1])];
            }
            a = a.add(TILE);
            b = b.add(width);
        }
        for (t, sum) in sum.into_iter().enumerate() {
            S::store(acc.add(t * width), sum[0]);
            S::store(acc.add(t * width + S::LANES), sum[1]);
        }
    }
}
