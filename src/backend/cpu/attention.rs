//! Attention without the matrix of all scores: query rows in tiles, keys in blocks, softmax kept up to date as blocks
//! pass (Milakov & Gimelshein 2018; Dao et al. 2022).

use super::{
    Buffer, Floats, math,
    norm::largest,
    num::Wide,
    output, pool,
    reduce::Accumulate,
    simd::{Isa, Kernel, Loops, Simd, run_best},
    strided_floats,
    walk::{Shared, load},
};
use crate::{
    backend::{Meta, View},
    error::Result,
    layout::Layout,
    op::visible,
};

/// Query rows of one tile, all attending to one key head.
const ROWS: usize = 16;
/// Keys of one block.
const KEYS: usize = 64;
/// Multiplications below which threads cost more than they save.
const PARALLEL: usize = 1 << 17;

/// The parameters of the operation.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub scale: f32,
    pub causal: bool,
    pub window: Option<usize>,
    pub softcap: Option<f32>,
}

/// Four-dimensional f32 data whose last dimension adjoins.
struct Heads<'a> {
    data: &'a [f32],
    layout: &'a Layout,
}

impl Heads<'_> {
    /// The element that begins a row.
    fn at(&self, batch: usize, head: usize, row: usize) -> usize {
        let s = self.layout.strides();
        self.layout.start() + batch * s[0] + head * s[1] + row * s[2]
    }
    fn row(&self, batch: usize, head: usize, row: usize) -> &[f32] {
        let from = self.at(batch, head, row);
        &self.data[from..from + self.layout.dims()[3]]
    }
    /// All rows of a head: the elements from its first, and the step from row to row. Checked to reach the end of the
    /// last row, so that kernels need not check.
    fn head(&self, batch: usize, head: usize) -> (&[f32], usize) {
        let (dims, step) = (self.layout.dims(), self.layout.strides()[2]);
        let from = self.at(batch, head, 0);
        (&self.data[from..from + (dims[2] - 1) * step + dims[3]], step)
    }
}

pub(super) fn attention(options: Options, inputs: &[View<'_>], out: &Meta) -> Result<Buffer> {
    let mut result = output(out)?;
    let (&[b, h, t, d], &[_, g, s, e]) = (inputs[0].layout.dims(), inputs[2].layout.dims()) else {
        return Ok(result);
    };
    if out.shape.elements() == 0 || s == 0 {
        return Ok(result);
    }
    let owned = [strided_floats(&inputs[0])?, strided_floats(&inputs[1])?, strided_floats(&inputs[2])?];
    let [q, k, v] = [0, 1, 2].map(|i| Heads { data: owned[i].0.as_slice(), layout: &owned[i].1 });
    let mask = inputs.get(3).map(super::floats).transpose()?;
    let mask_layout =
        mask.as_ref().map(|m| Layout::contiguous(m.shape()).broadcast_to(&[b, h, t, s].into())).transpose()?;
    let mask = mask.as_ref().zip(mask_layout.as_ref());
    let (group, isa) = (h / g, Isa::best());
    let tiles = (group * t).div_ceil(ROWS);
    let shared = Shared::new(result.as_slice_mut::<f32>()?);
    let work = |task: usize| {
        let (batch, head, tile) = (task / tiles / g, task / tiles % g, task % tiles);
        let first = tile * ROWS;
        let tile = Tile {
            q: &q,
            k: &k,
            v: &v,
            mask,
            options,
            batch,
            head,
            group,
            first,
            rows: ROWS.min(group * t - first),
            isa,
        };
        let write = |query_head: usize, at: usize, row: &[f32]| {
            let from = ((batch * h + query_head) * t + at) * e;
            // SAFETY: each (batch, head, position) belongs to one row of one tile.
            unsafe { shared.part(from..from + e) }.copy_from_slice(row);
        };
        tile.run(write);
    };
    if b * h * t * s * (d + e) < PARALLEL {
        (0..b * g * tiles).for_each(work);
    } else {
        pool::parallel(b * g * tiles, work);
    }
    Ok(result)
}

/// Rows `first..first + rows` of the query rows that share a key head, counted position by position.
struct Tile<'a> {
    q: &'a Heads<'a>,
    k: &'a Heads<'a>,
    v: &'a Heads<'a>,
    mask: Option<(&'a Floats<'a>, &'a Layout)>,
    options: Options,
    batch: usize,
    head: usize,
    group: usize,
    first: usize,
    rows: usize,
    isa: Isa,
}

impl Tile<'_> {
    /// Query head and position of a row.
    fn place(&self, row: usize) -> (usize, usize) {
        let row = self.first + row;
        (self.head * self.group + row % self.group, row / self.group)
    }

    /// Gives `(query head, position, result)` of each row to `write`.
    fn run(&self, mut write: impl FnMut(usize, usize, &[f32])) {
        let (t, s) = (self.q.layout.dims()[2], self.k.layout.dims()[2]);
        let (d, e) = (self.q.layout.dims()[3], self.v.layout.dims()[3]);
        let Options { scale, causal, window, .. } = self.options;
        let mut queries = vec![0.0; self.rows * d];
        let mut totals = vec![0.0; self.rows * e];
        for (row, query) in queries.chunks_exact_mut(d.max(1)).enumerate() {
            let (head, at) = self.place(row);
            query.iter_mut().zip(self.q.row(self.batch, head, at)).for_each(|(o, v)| *o = v * scale);
        }
        let seen = |row: usize| visible(self.place(row).1, t, s, causal, window);
        let (k, v) = (self.k.head(self.batch, self.head), self.v.head(self.batch, self.head));
        let mut scores = [0.0; ROWS * KEYS];
        let (mut tops, mut sums) = ([f32::NEG_INFINITY; ROWS], [0.0f32; ROWS]);
        let (begin, end) = (seen(0).0, seen(self.rows - 1).1);
        for block in (begin..end).step_by(KEYS) {
            let keys = KEYS.min(end - block);
            let (k, v) = ((&k.0[block * k.1..], k.1), (&v.0[block * v.1..], v.1));
            // SAFETY: the machine has its best instruction set; `head` has checked that rows below `s` are inside.
            unsafe { self.isa.run(Scores { queries: &queries, d, k, keys, scores: &mut scores }) };
            for row in 0..self.rows {
                let scores = &mut scores[row * KEYS..row * KEYS + keys];
                self.mask(row, block, seen(row), scores);
                let total = &mut totals[row * e..(row + 1) * e];
                run_best(Weigh { scores, total, top: &mut tops[row], sum: &mut sums[row] });
            }
            let mut row = 0;
            while row < self.rows {
                let (weights, rows) = (&scores[row * KEYS..], (self.rows - row).min(4));
                let totals = &mut totals[row * e..(row + rows) * e];
                // SAFETY: as above.
                unsafe {
                    match rows {
                        4 => self.isa.run(Add::<4> { weights, keys, v, e, totals }),
                        3 => self.isa.run(Add::<3> { weights, keys, v, e, totals }),
                        2 => self.isa.run(Add::<2> { weights, keys, v, e, totals }),
                        _ => self.isa.run(Add::<1> { weights, keys, v, e, totals }),
                    }
                }
                row += rows;
            }
        }
        for (row, total) in totals.chunks_exact_mut(e.max(1)).enumerate() {
            if sums[row] != 0.0 {
                let scale = 1.0 / sums[row];
                total.iter_mut().for_each(|v| *v *= scale);
            }
            let (head, at) = self.place(row);
            write(head, at, total);
        }
    }

    /// Caps the scores of a row, adds the mask, and hides the keys that the row does not see.
    fn mask(&self, row: usize, block: usize, (begin, end): (usize, usize), scores: &mut [f32]) {
        if let Some(cap) = self.options.softcap {
            scores.iter_mut().for_each(|v| *v = math::single::tanh(*v / cap) * cap);
        }
        if let Some((mask, layout)) = self.mask {
            let ((head, at), s) = (self.place(row), layout.strides());
            let from = layout.start() + self.batch * s[0] + head * s[1] + at * s[2] + block * s[3];
            let mut values = [0.0; KEYS];
            let values = &mut values[..scores.len()];
            load(mask.as_slice(), from, s[3], values);
            scores.iter_mut().zip(values).for_each(|(o, v)| *o += *v);
        }
        let hidden = begin.saturating_sub(block).min(scores.len());
        scores[..hidden].fill(f32::NEG_INFINITY);
        let shown = end.saturating_sub(block).min(scores.len());
        scores[shown..].fill(f32::NEG_INFINITY);
    }
}

// A tile's work is in three kernels, since V8 allocates registers badly in a function that holds them all.

/// Scores of all query rows (of `d` elements) against `keys` keys (rows `step` apart), [`KEYS`] places for each row; those
/// behind the last key get anything.
///
/// The kernel's promise: every key is inside its slice.
struct Scores<'a> {
    queries: &'a [f32],
    d: usize,
    k: (&'a [f32], usize),
    keys: usize,
    scores: &'a mut [f32; ROWS * KEYS],
}

impl Kernel for Scores<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { queries, d, k: (k, step), keys, scores } = self;
        let rows = queries.len().checked_div(d).unwrap_or(0);
        debug_assert!(rows <= ROWS && keys <= KEYS && (keys == 0 || (keys - 1) * step + d <= k.len()));
        for j in (0..keys).step_by(4) {
            // Past the last key that one is taken again.
            let key = |i: usize| k.as_ptr().wrapping_add((j + i).min(keys - 1) * step);
            let keys = [key(0), key(1), key(2), key(3)];
            // SAFETY: rows of queries and all keys are inside their slices, and 4 scores inside a row's places.
            unsafe {
                for row in (0..rows).step_by(2) {
                    let (query, to) = (queries[row * d..].as_ptr(), scores[row * KEYS + j..].as_mut_ptr());
                    if row + 1 < rows {
                        dots::<S, 2>(query, d, keys, to);
                    } else {
                        dots::<S, 1>(query, d, keys, to);
                    }
                }
            }
        }
    }
}

/// Dot products of `R` rows of `d` elements with four vectors, to `to` and [`KEYS`] places further on for each row.
///
/// # Safety
/// `S` is there, and all pointers have the elements.
#[inline(always)]
unsafe fn dots<S: Simd, const R: usize>(q: *const f32, d: usize, keys: [*const f32; 4], to: *mut f32) {
    // SAFETY: all reads are below `d` elements of a row.
    unsafe {
        let mut lanes = [[S::splat(0.0); 4]; R];
        let whole = d / S::LANES * S::LANES;
        let mut at = 0;
        while at < whole {
            let [a, b, c, e] = keys;
            let k = [S::load(a.add(at)), S::load(b.add(at)), S::load(c.add(at)), S::load(e.add(at))];
            for (r, lanes) in lanes.iter_mut().enumerate() {
                let q = S::load(q.add(r * d + at));
                for i in 0..4 {
                    lanes[i] = S::mul_add(q, k[i], lanes[i]);
                }
            }
            at += S::LANES;
        }
        for (r, lanes) in lanes.into_iter().enumerate() {
            let to = to.add(r * KEYS);
            S::sum_four(lanes, to);
            for i in whole..d {
                let q = *q.add(r * d + i);
                for (n, key) in keys.into_iter().enumerate() {
                    *to.add(n) += q * *key.add(i);
                }
            }
        }
    }
}

/// Makes weights `e^(score - largest so far)` of a row's scores, and brings what was summed up before down to that.
struct Weigh<'a> {
    scores: &'a mut [f32],
    total: &'a mut [f32],
    top: &'a mut f32,
    sum: &'a mut f32,
}

impl Loops for Weigh<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { scores, total, top, sum } = self;
        let new = largest(scores).larger(*top);
        if new == f32::NEG_INFINITY {
            return scores.fill(0.0);
        }
        if new != *top {
            let shrink = math::single::exp(*top - new);
            total.iter_mut().for_each(|v| *v *= shrink);
            *sum *= shrink;
            *top = new;
        }
        scores.iter_mut().for_each(|v| *v = math::single::exp(*v - new));
        *sum += f32::sum(scores) as f32;
    }
}

/// Adds `keys` values (rows `step` apart, of `e` elements), weighted by each of `R` rows' weights, to that row's total.
///
/// The kernel's promise: every value is inside its slice.
struct Add<'a, const R: usize> {
    /// Rows [`KEYS`] apart.
    weights: &'a [f32],
    keys: usize,
    v: (&'a [f32], usize),
    e: usize,
    totals: &'a mut [f32],
}

impl<const R: usize> Kernel for Add<'_, R> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { weights, keys, v: (v, step), e, totals } = self;
        assert!(totals.len() == R * e && keys <= KEYS && weights.len() >= R * KEYS);
        debug_assert!(keys == 0 || (keys - 1) * step + e <= v.len());
        let wide = 2 * S::LANES;
        let mut at = 0;
        while at + wide <= e {
            // SAFETY: two registers from `at` are below `e`, in each of the R totals and each of the values.
            unsafe {
                let mut lanes = [[S::splat(0.0); 2]; R];
                for j in 0..keys {
                    let value = v.as_ptr().add(j * step + at);
                    let (a, b) = (S::load(value), S::load(value.add(S::LANES)));
                    for (r, lanes) in lanes.iter_mut().enumerate() {
                        let w = S::splat(*weights.as_ptr().add(r * KEYS + j));
                        *lanes = [S::mul_add(a, w, lanes[0]), S::mul_add(b, w, lanes[1])];
                    }
                }
                for (r, [a, b]) in lanes.into_iter().enumerate() {
                    let total = totals.as_mut_ptr().add(r * e + at);
                    S::store(total, S::add(S::load(total), a));
                    S::store(total.add(S::LANES), S::add(S::load(total.add(S::LANES)), b));
                }
            }
            at += wide;
        }
        for r in 0..R {
            for i in at..e {
                totals[r * e + i] += (0..keys).map(|j| weights[r * KEYS + j] * v[j * step + i]).sum::<f32>();
            }
        }
    }
}
