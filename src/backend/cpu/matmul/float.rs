//! Float products of few rows: by dot products along memory, or sums of rows.

use super::Target;
use crate::{
    backend::cpu::simd::{Kernel, Lanes, Simd, f16_to_f32},
    dtype::DType,
};
use std::ops::Range;

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
    pub(super) unsafe fn at(&self, row: usize, column: usize) -> f32 {
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
    pub(super) unsafe fn load<S: Simd>(&self, row: usize, column: usize) -> S::F32 {
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

/// Rows of `b` that are read together.
const TOGETHER: usize = 4;

/// `out[t, columns] = a[t] · b[.., columns]` for a few rows of `a`, where `b` is f32 with contiguous rows: each is read once,
/// in order, and added to the result.
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
        let stride = b.strides.0;
        let rows = b.bytes.as_ptr().cast::<f32>();
        // SAFETY: the kernel's promise.
        unsafe {
            for first in (0..k).step_by(TOGETHER) {
                for t in 0..m {
                    let x = a.as_ptr().add(t * a_strides.0 + first * a_strides.1);
                    let b = rows.add(first * stride + columns.start);
                    let out = out.at(t * n + columns.start);
                    if first + TOGETHER <= k {
                        let x = [0, 1, 2, 3].map(|i| *x.add(i * a_strides.1));
                        add_rows::<S::Tile, TOGETHER>(x, b, stride, out, columns.len(), first > 0);
                    } else {
                        for i in 0..k - first {
                            let (x, b) = (*x.add(i * a_strides.1), b.add(i * stride));
                            add_rows::<S::Tile, 1>([x], b, 0, out, columns.len(), first + i > 0);
                        }
                    }
                }
            }
        }
    }
}

/// `out = x · rows` for some rows `stride` apart, or that added to it.
///
/// # Safety
/// The processor has the instructions; rows and result are as long as said.
#[inline(always)]
unsafe fn add_rows<L: Lanes, const R: usize>(
    x: [f32; R],
    rows: *const f32,
    stride: usize,
    out: *mut f32,
    len: usize,
    add: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut factors = [L::splat(0.0); R];
        for (factor, x) in factors.iter_mut().zip(x) {
            *factor = L::splat(x);
        }
        let whole = len / L::LANES * L::LANES;
        for at in (0..whole).step_by(L::LANES) {
            let mut sum = if add { L::load(out.add(at)) } else { L::splat(0.0) };
            for (i, factor) in factors.iter().enumerate() {
                sum = L::mul_add(*factor, L::load(rows.add(i * stride + at)), sum);
            }
            L::store(out.add(at), sum);
        }
        for at in whole..len {
            let mut sum = if add { *out.add(at) } else { 0.0 };
            for (i, x) in x.iter().enumerate() {
                sum += x * *rows.add(i * stride + at);
            }
            *out.add(at) = sum;
        }
    }
}
