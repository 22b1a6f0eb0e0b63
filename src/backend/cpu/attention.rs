//! Attention without the matrix of all scores: query rows in tiles, keys in blocks, softmax kept up to date as blocks
//! pass (Milakov & Gimelshein 2018; Dao et al. 2022).

use super::{
    Buffer, Floats,
    num::Wide,
    output, pool, strided_floats,
    walk::{Shared, load},
};
use crate::{
    backend::{Meta, View},
    error::Result,
    layout::Layout,
    op::{Unary, visible},
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
    fn row(&self, batch: usize, head: usize, at: usize) -> &[f32] {
        let s = self.layout.strides();
        let from = self.layout.start() + batch * s[0] + head * s[1] + at * s[2];
        &self.data[from..from + self.layout.dims()[3]]
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
    let group = h / g;
    let tiles = (group * t).div_ceil(ROWS);
    let shared = Shared::new(result.as_slice_mut::<f32>()?);
    let work = |task: usize| {
        let (batch, head, tile) = (task / tiles / g, task / tiles % g, task % tiles);
        let first = tile * ROWS;
        let tile =
            Tile { q: &q, k: &k, v: &v, mask, options, batch, head, group, first, rows: ROWS.min(group * t - first) };
        tile.run(|query_head, at, row| {
            let from = ((batch * h + query_head) * t + at) * e;
            // SAFETY: each (batch, head, position) belongs to one row of one tile.
            unsafe { shared.part(from..from + e) }.copy_from_slice(row);
        });
    };
    if b * h * t * s * (d + e) < PARALLEL {
        (0..b * g * tiles).for_each(work);
    } else {
        pool::parallel(b * g * tiles, work);
    }
    drop(shared);
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
        let mut scores = [0.0; ROWS * KEYS];
        let (mut tops, mut sums) = ([f32::NEG_INFINITY; ROWS], [0.0f32; ROWS]);
        let (begin, end) = (seen(0).0, seen(self.rows - 1).1);
        for block in (begin..end).step_by(KEYS) {
            let keys = KEYS.min(end - block);
            self.score(&queries, block, keys, &mut scores);
            for row in 0..self.rows {
                let scores = &mut scores[row * KEYS..row * KEYS + keys];
                self.mask(row, block, seen(row), scores);
                let total = &mut totals[row * e..(row + 1) * e];
                let top = scores.iter().fold(tops[row], |a, &v| a.larger(v));
                if top == f32::NEG_INFINITY {
                    continue;
                }
                if top != tops[row] {
                    let shrink = (tops[row] - top).exp();
                    total.iter_mut().for_each(|v| *v *= shrink);
                    sums[row] *= shrink;
                    tops[row] = top;
                }
                scores.iter_mut().for_each(|v| *v -= top);
                f32::unary(Unary::Exp, scores);
                sums[row] += scores.iter().sum::<f32>();
                self.add_values(block, scores, total);
            }
        }
        for (row, total) in totals.chunks_exact_mut(e).enumerate() {
            if sums[row] != 0.0 {
                let scale = 1.0 / sums[row];
                total.iter_mut().for_each(|v| *v *= scale);
            }
            let (head, at) = self.place(row);
            write(head, at, total);
        }
    }

    /// Scores of all rows against `keys` keys from `block`.
    fn score(&self, queries: &[f32], block: usize, keys: usize, scores: &mut [f32; ROWS * KEYS]) {
        let d = self.q.layout.dims()[3];
        for j in 0..keys {
            let key = self.k.row(self.batch, self.head, block + j);
            let mut row = 0;
            while row + 4 <= self.rows {
                let query = |i: usize| &queries[(row + i) * d..(row + i + 1) * d];
                let products = dot4([query(0), query(1), query(2), query(3)], key);
                (0..4).for_each(|i| scores[(row + i) * KEYS + j] = products[i]);
                row += 4;
            }
            for row in row..self.rows {
                scores[row * KEYS + j] = dot(&queries[row * d..(row + 1) * d], key);
            }
        }
    }

    /// Caps the scores of a row, adds the mask, and hides the keys that the row does not see.
    fn mask(&self, row: usize, block: usize, (begin, end): (usize, usize), scores: &mut [f32]) {
        if let Some(cap) = self.options.softcap {
            scores.iter_mut().for_each(|v| *v /= cap);
            f32::unary(Unary::Tanh, scores);
            scores.iter_mut().for_each(|v| *v *= cap);
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

    /// Adds the values of the keys from `block`, weighted.
    fn add_values(&self, block: usize, weights: &[f32], total: &mut [f32]) {
        let value = |j: usize| self.v.row(self.batch, self.head, block + j);
        let fours = weights.chunks_exact(4);
        let rest = weights.len() - fours.remainder().len();
        for (i, w) in fours.enumerate() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|n| value(4 * i + n));
            for ((((o, a), b), c), d) in total.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *o += (a * w[0] + b * w[1]) + (c * w[2] + d * w[3]);
            }
        }
        for (j, &w) in weights.iter().enumerate().skip(rest) {
            total.iter_mut().zip(value(j)).for_each(|(o, v)| *o += v * w);
        }
    }
}

/// Lanes of a dot product: enough to hide the latency of additions.
const LANES: usize = 8;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        (0..LANES).for_each(|i| lanes[i] += a[i] * b[i]);
    }
    rest + add_lanes(lanes)
}

fn add_lanes(l: [f32; LANES]) -> f32 {
    ((l[0] + l[4]) + (l[1] + l[5])) + ((l[2] + l[6]) + (l[3] + l[7]))
}

/// Four products with one vector, which is so read once.
fn dot4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    let mut lanes = [[0.0f32; LANES]; 4];
    let whole = b.len() / LANES * LANES;
    let a = a.map(|a| &a[..b.len()]);
    for from in (0..whole).step_by(LANES) {
        let b = &b[from..from + LANES];
        for (lanes, a) in lanes.iter_mut().zip(a) {
            let a = &a[from..from + LANES];
            (0..LANES).for_each(|i| lanes[i] += a[i] * b[i]);
        }
    }
    let mut sums = lanes.map(add_lanes);
    for i in whole..b.len() {
        (0..4).for_each(|row| sums[row] += a[row][i] * b[i]);
    }
    sums
}
