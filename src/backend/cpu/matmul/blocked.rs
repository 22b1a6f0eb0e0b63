//! Products of many rows: panels of columns and tiles of rows are packed in the order in which they are read, and multiplied
//! tile by tile in registers (Goto & van de Geijn 2008).

use super::{Target, float::Matrix};
use crate::backend::cpu::{
    pool::{parallel, threads},
    simd::{Isa, Kernel, Lanes, Simd},
};
use std::{cell::RefCell, ops::Range};

/// Inner length of packed panels: one of columns stays in the first-level cache, a block of rows in the second.
const DEPTH: usize = 256;
/// Rows in a block.
const BLOCK: usize = 192;
/// Columns for one task.
const COLUMNS: usize = 128;
/// Spaces of more elements are not kept.
const KEPT: usize = 1 << 24;

thread_local! {
    static SPACES: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Space for numbers, which hold anything at first; it is kept for the next time.
///
/// No closure around the code that uses it: kernels are compiled for their instruction set where they stand, closures are not.
pub(in crate::backend::cpu) struct Space {
    numbers: Vec<f32>,
    len: usize,
}

impl Space {
    pub fn new(len: usize) -> Self {
        let mut numbers = SPACES.with_borrow_mut(Vec::pop).unwrap_or_default();
        if numbers.len() < len {
            numbers.clear();
            numbers.resize(len, 0.0);
        }
        Self { numbers, len }
    }
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.numbers[..self.len]
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        if numbers.len() <= KEPT {
            SPACES.with_borrow_mut(|spaces| spaces.push(numbers));
        }
    }
}

/// Where the columns of a product come from.
pub(in crate::backend::cpu) trait Columns: Copy + Sync {
    /// Packs columns of some rows as panels of `width` columns: `[panels][rows][width]`. The last panel may be filled up with
    /// anything.
    ///
    /// # Safety
    /// There are those rows and columns, and `panels` is that long.
    unsafe fn pack<S: Simd>(&self, rows: Range<usize>, columns: Range<usize>, width: usize, panels: &mut [f32]);
}

impl Columns for Matrix<'_> {
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, rows: Range<usize>, columns: Range<usize>, width: usize, panels: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            for (first, panel) in columns.clone().step_by(width).zip(panels.chunks_exact_mut(rows.len() * width)) {
                let used = width.min(columns.end - first);
                if self.strides.1 == 1 && used == width {
                    for (row, panel) in rows.clone().zip(panel.chunks_exact_mut(width)) {
                        for at in (0..width).step_by(S::LANES) {
                            S::store(panel[at..].as_mut_ptr(), self.load::<S>(row, first + at));
                        }
                    }
                } else if self.strides.0 == 1 {
                    self.pack_contiguous_columns::<S>(rows.clone(), first..first + used, width, panel);
                } else {
                    for (row, panel) in rows.clone().zip(panel.chunks_exact_mut(width)) {
                        for (column, value) in (first..first + used).zip(panel) {
                            *value = self.at(row, column);
                        }
                    }
                }
            }
        }
    }
}

impl Matrix<'_> {
    /// Packs a panel of columns each of which is contiguous.
    ///
    /// # Safety
    /// As for [`Columns::pack`].
    #[inline(always)]
    unsafe fn pack_contiguous_columns<S: Simd>(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        width: usize,
        panel: &mut [f32],
    ) {
        let whole = rows.len() / S::LANES * S::LANES;
        // SAFETY: the caller's promise.
        unsafe {
            let mut square = [0.0f32; 8 * 8];
            for row in (0..whole).step_by(S::LANES) {
                let to = &mut panel[row * width..];
                let mut j = 0;
                while j + S::LANES <= columns.len() {
                    for i in 0..S::LANES {
                        let column = self.load::<S>(rows.start + row, columns.start + j + i);
                        S::store(square[i * S::LANES..].as_mut_ptr(), column);
                    }
                    S::transpose(square.as_ptr(), S::LANES, to[j..].as_mut_ptr(), width);
                    j += S::LANES;
                }
                for j in j..columns.len() {
                    for i in 0..S::LANES {
                        to[i * width + j] = self.at(rows.start + row + i, columns.start + j);
                    }
                }
            }
            for row in whole..rows.len() {
                for j in 0..columns.len() {
                    panel[row * width + j] = self.at(rows.start + row, columns.start + j);
                }
            }
        }
    }
}

/// Rows and columns of a register tile.
pub(in crate::backend::cpu) fn tile_size(isa: Isa) -> (usize, usize) {
    struct Size<'a>(&'a mut (usize, usize));
    impl Kernel for Size<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            *self.0 = (S::Tile::ROWS, 2 * S::Tile::LANES);
        }
    }
    let mut size = (0, 0);
    // SAFETY: the kernel uses no instructions.
    unsafe { isa.run(Size(&mut size)) };
    size
}

/// How long [`PackRows::packed`] is.
pub(in crate::backend::cpu) fn packed_len(isa: Isa, m: usize, k: usize) -> usize {
    m.next_multiple_of(tile_size(isa).0) * k
}

/// Packs tiles of rows: for each part of the inner length `[tiles][depth][rows]`, the last tile filled up with zeros.
///
/// The kernel's promise: `a` holds an `[m, k]` matrix of those strides, `packed` is [`packed_len`] long, and nobody else
/// writes these tiles.
pub(in crate::backend::cpu) struct PackRows<'a> {
    pub a: &'a [f32],
    pub strides: (usize, usize),
    pub m: usize,
    pub k: usize,
    /// Of `m` over the rows of a tile, rounded up.
    pub tiles: Range<usize>,
    pub packed: Target,
}

impl Kernel for PackRows<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { a, strides, m, k, tiles, packed } = self;
        let tile = S::Tile::ROWS;
        let whole = m.next_multiple_of(tile);
        for start in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - start);
            for i in tiles.clone() {
                let at = start * whole + i * tile * depth;
                // SAFETY: the kernel's promise.
                let packed = unsafe { std::slice::from_raw_parts_mut(packed.at(at), tile * depth) };
                let rows = tile.min(m - i * tile);
                if rows < tile {
                    packed.fill(0.0);
                }
                let from = i * tile * strides.0 + start * strides.1;
                let mut row = 0;
                while strides.1 == 1 && row + S::LANES <= rows {
                    let whole = depth / S::LANES * S::LANES;
                    for l in (0..whole).step_by(S::LANES) {
                        let (a, to) = (&a[from + row * strides.0 + l..], packed[l * tile + row..].as_mut_ptr());
                        // SAFETY: these rows and columns are inside the matrix, and their places inside the tile.
                        unsafe { S::transpose(a.as_ptr(), strides.0, to, tile) };
                    }
                    for l in whole..depth {
                        for i in row..row + S::LANES {
                            packed[l * tile + i] = a[from + i * strides.0 + l];
                        }
                    }
                    row += S::LANES;
                }
                if row < rows {
                    for (l, packed) in packed.chunks_exact_mut(tile).enumerate() {
                        for (i, value) in packed[..rows].iter_mut().enumerate().skip(row) {
                            *value = a[from + i * strides.0 + l * strides.1];
                        }
                    }
                }
            }
        }
    }
}

/// `out[row * stride + column - columns.start]` for some columns and rows, from packed rows.
///
/// The kernel's promise: `a` is packed `[m, k]`, `b` has all rows and columns, `rows` begin at a tile, `out` has those
/// elements and nobody else writes them.
pub(in crate::backend::cpu) struct BlockProduct<'a, B> {
    /// By [`PackRows`].
    pub a: &'a [f32],
    pub b: B,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    /// Where row 0 of the first column is.
    pub out: Target,
    pub stride: usize,
    pub m: usize,
    pub k: usize,
}

impl<B: Columns> Kernel for BlockProduct<'_, B> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { a, b, rows, columns, out, stride, m, k } = self;
        let (tile, width) = (S::Tile::ROWS, 2 * S::Tile::LANES);
        let whole = m.next_multiple_of(tile);
        let mut space = Space::new(DEPTH.min(k) * columns.len().next_multiple_of(width));
        let panels = space.as_mut_slice();
        for start in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - start);
            // SAFETY: the kernel's promise.
            unsafe { b.pack::<S>(start..start + depth, columns.clone(), width, panels) };
            let part = &a[start * whole..][..depth * whole];
            for block in rows.clone().step_by(BLOCK / tile * tile) {
                let block = block..(block + BLOCK / tile * tile).min(rows.end);
                for (j, panel) in panels.chunks_exact(depth * width).take(columns.len().div_ceil(width)).enumerate() {
                    let used = width.min(columns.len() - j * width);
                    for row in block.clone().step_by(tile) {
                        let a = part[row * depth..][..tile * depth].as_ptr();
                        let used = (tile.min(rows.end - row), used);
                        // SAFETY: the kernel's promise.
                        unsafe {
                            let c = out.at(row * stride + j * width);
                            tile_product::<S::Tile>(a, panel.as_ptr(), depth, c, stride, used, start > 0);
                        }
                    }
                }
            }
        }
    }
}

/// A whole tile, or one of which only `used` rows and columns are wanted.
///
/// # Safety
/// `a` is `[depth][rows]`, `b` `[depth][2 registers]`, and `c` has the used rows and columns.
#[inline(always)]
unsafe fn tile_product<L: Lanes>(
    a: *const f32,
    b: *const f32,
    depth: usize,
    c: *mut f32,
    stride: usize,
    used: (usize, usize),
    add: bool,
) {
    let width = 2 * L::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        if used == (L::ROWS, width) {
            return sized_product::<L>(a, b, depth, c, stride, add);
        }
        let mut space = [0.0f32; 12 * 32];
        sized_product::<L>(a, b, depth, space.as_mut_ptr(), width, false);
        for row in 0..used.0 {
            let line = c.add(row * stride);
            for (j, value) in space[row * width..][..used.1].iter().enumerate() {
                let before = if add { line.add(j).read() } else { 0.0 };
                line.add(j).write(before + value);
            }
        }
    }
}

/// # Safety
/// As for [`tile_product`], with all rows and columns used.
#[inline(always)]
unsafe fn sized_product<L: Lanes>(a: *const f32, b: *const f32, depth: usize, c: *mut f32, stride: usize, add: bool) {
    // SAFETY: the caller's promise; the number of rows is that of the tile.
    unsafe {
        match L::ROWS {
            4 => rows_product::<L, 4>(a, b, depth, c, stride, add),
            6 => rows_product::<L, 6>(a, b, depth, c, stride, add),
            8 => rows_product::<L, 8>(a, b, depth, c, stride, add),
            _ => rows_product::<L, 12>(a, b, depth, c, stride, add),
        }
    }
}

/// # Safety
/// As for [`sized_product`]; the tile has `R` rows.
#[inline(always)]
unsafe fn rows_product<L: Lanes, const R: usize>(
    mut a: *const f32,
    mut b: *const f32,
    depth: usize,
    c: *mut f32,
    stride: usize,
    add: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = [[L::splat(0.0); 2]; R];
        for _ in 0..depth {
            let columns = [L::load(b), L::load(b.add(L::LANES))];
            for (t, sum) in sum.iter_mut().enumerate() {
                let x = L::splat(*a.add(t));
                *sum = [L::mul_add(x, columns[0], sum[0]), L::mul_add(x, columns[1], sum[1])];
            }
            a = a.add(R);
            b = b.add(2 * L::LANES);
        }
        for (t, sum) in sum.into_iter().enumerate() {
            for (i, sum) in sum.into_iter().enumerate() {
                let c = c.add(t * stride + i * L::LANES);
                L::store(c, if add { L::add(L::load(c), sum) } else { sum });
            }
        }
    }
}

/// `c[m, n] = a[m, k] · b[k, n]` in parallel.
///
/// # Safety
/// The processor has `isa`, the matrices all those elements, and `c` is `[m, n]`.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn product(
    isa: Isa,
    a: &[f32],
    a_strides: (usize, usize),
    b: Matrix<'_>,
    out: Target,
    m: usize,
    k: usize,
    n: usize,
) {
    let tile = tile_size(isa).0;
    let mut space = Space::new(packed_len(isa, m, k));
    let packed = space.as_mut_slice();
    let (tiles, target) = (m.div_ceil(tile), Target::new(packed));
    let together = (PACKED / (tile * k)).max(1);
    let pack = |i: usize| {
        let tiles = i * together..((i + 1) * together).min(tiles);
        // SAFETY: the caller's promise, and tasks have different tiles.
        unsafe { isa.run(PackRows { a, strides: a_strides, m, k, tiles, packed: target }) };
    };
    parallel(tiles.div_ceil(together), pack);
    let a = &packed[..];
    // Tasks are parts of the columns; where those are few, of the rows too.
    let across = n.div_ceil(COLUMNS);
    let down = if across >= threads() { 1 } else { threads().min(m.div_ceil(4 * tile)).max(1) };
    let down = if m * n * k < SMALL { 1 } else { down };
    let rows = m.div_ceil(down).next_multiple_of(tile);
    let task = |i: usize| {
        let (row, column) = (i / across * rows, i % across * COLUMNS);
        let (rows, columns) = (row.min(m)..(row + rows).min(m), column..(column + COLUMNS).min(n));
        // SAFETY: the caller's promise, and tasks have different rows or columns.
        unsafe {
            let out = out.offset(column);
            isa.run(BlockProduct { a, b, rows, columns, out, stride: n, m, k });
        }
    };
    if m * n * k < SMALL { (0..across).for_each(task) } else { parallel(across * down, task) }
}

/// Numbers that one task packs.
const PACKED: usize = 1 << 17;
/// Products of fewer multiply-adds are done on one thread.
const SMALL: usize = 1 << 17;
