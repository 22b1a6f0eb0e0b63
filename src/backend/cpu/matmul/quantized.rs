//! Products with weights of block formats: chooses the kernel, splits the work over the pool by panels of rows.

use super::{
    Target,
    activations::Activations,
    base::TASK,
    bits::{has_halves, with_bits},
    blocked::Space,
    matrix::{PAIRS, TileProducts, Widen},
    packed::{PANEL, Packed, Plan, pack_panel},
    scales::ReadScales,
    vector::VectorProduct,
};
use crate::{backend::cpu::pool::parallel, dtype::DType};
use std::{borrow::Cow, ops::Range};

/// Words of two i16 that are unpacked at a time: 16 KB, which stay in the first-level cache.
const UNPACKED: usize = 1 << 12;

/// Where panels of weights come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Packed before, from this panel on.
    Packed(&'a Packed, usize),
    /// Rows of the format, packed for this product only.
    Rows(DType, &'a [u8]),
}

impl Source<'_> {
    fn dtype(self) -> DType {
        match self {
            Source::Packed(packed, _) => packed.dtype,
            Source::Rows(dtype, _) => dtype,
        }
    }
    /// Words of panel `i` of rows of `k` values.
    fn panel(&self, i: usize, k: usize) -> Cow<'_, [u32]> {
        match *self {
            Source::Packed(packed, first) => Cow::Borrowed(bytemuck::cast_slice(packed.panel(first + i))),
            Source::Rows(dtype, bytes) => {
                let plan = Plan::of(dtype);
                let row_bytes = k / dtype.block_len() * dtype.block_bytes();
                let mut panel = vec![0u32; plan.panel(dtype, k).2.div_ceil(4)];
                let end = bytes.len().min((i + 1) * PANEL * row_bytes);
                let rows = &bytes[i * PANEL * row_bytes..end];
                pack_panel(plan, dtype, rows, row_bytes, bytemuck::cast_slice_mut(&mut panel));
                Cow::Owned(panel)
            }
        }
    }
}

/// `out[m, n] = x · wᵀ` for activations of as many rows, and `n` rows of weights with as many groups; rows of the result are
/// `stride` apart.
pub(super) fn product(acts: &Activations, weights: Source<'_>, n: usize, out: &mut [f32], stride: usize) {
    let (many, k) = (acts.tile > 1, acts.groups * 32);
    let (rows, out) = (if many { acts.width } else { PANEL }, Target::new(out));
    let step = (TASK / (acts.m * k).max(1)).next_multiple_of(rows).clamp(rows, n.next_multiple_of(rows));
    let bits = Plan::of(weights.dtype()).bits();
    parallel(n.div_ceil(step), |i| {
        let rows = i * step..((i + 1) * step).min(n);
        let task = Task { acts, weights, rows, stride, out };
        if many {
            with_bits!(bits, task.matrix());
        } else {
            with_bits!(bits, task.vector());
        }
    });
}

/// Some rows of a product.
struct Task<'a> {
    acts: &'a Activations,
    weights: Source<'a>,
    /// From the beginning of a panel on.
    rows: Range<usize>,
    /// Between rows of the result.
    stride: usize,
    out: Target,
}

impl Task<'_> {
    /// How many numbers the scales of `rows` rows are, with as many shifts or none.
    fn scales(&self, rows: usize) -> usize {
        let plan = Plan::of(self.weights.dtype());
        self.acts.groups * plan.parts() * rows * if plan.shifted() { 2 } else { 1 }
    }

    fn vector<const BITS: usize>(self) {
        let (acts, dtype) = (self.acts, self.weights.dtype());
        let (plan, groups) = (Plan::of(dtype), acts.groups);
        let head_bytes = plan.panel(dtype, groups * 32).0;
        let mut space = Space::new(self.scales(PANEL));
        let (scales, shifts) = space.as_mut_slice().split_at_mut(groups * plan.parts() * PANEL);
        let (scales, shifts) = (scales.as_mut_ptr(), pointer(shifts));
        for row in self.rows.clone().step_by(PANEL) {
            let panel = self.weights.panel(row / PANEL, groups * 32);
            let head = &bytemuck::cast_slice(&panel)[..head_bytes];
            let words = panel[head_bytes / 4..].as_ptr().cast();
            let (out, stride, rows) = (self.out, self.stride, PANEL.min(self.rows.end - row));
            // SAFETY: a panel and its scales are as the plan says, and the result is this task's own in these rows.
            unsafe {
                acts.isa.run(ReadScales { plan, head, groups, scales, shifts, stride: PANEL });
                acts.isa.run(VectorProduct::<BITS> { acts, words, scales, shifts, out, stride, row, rows });
            }
        }
    }

    fn matrix<const BITS: usize>(self) {
        let (acts, dtype, width) = (self.acts, self.weights.dtype(), self.acts.width);
        let (plan, groups) = (Plan::of(dtype), acts.groups);
        let (parts, head_bytes) = (plan.parts(), plan.panel(dtype, groups * 32).0);
        let depth = (UNPACKED / (PAIRS * width)).next_multiple_of(8);
        let mut space = Space::new(self.scales(width));
        let (scales, shifts) = space.as_mut_slice().split_at_mut(groups * parts * width);
        let mut wide = vec![0i32; depth * PAIRS * width];
        let mut acc = vec![0.0f32; acts.m.next_multiple_of(acts.tile) * width];
        for row in self.rows.clone().step_by(width) {
            let columns = width.min(self.rows.end - row);
            let panels: Vec<_> = (row..row + columns).step_by(PANEL).collect();
            let panels: Vec<_> = panels.iter().map(|row| self.weights.panel(row / PANEL, groups * 32)).collect();
            // SAFETY: panels and their scales are as the plan says; `wide` and `acc` are as large as the kernels say; the
            // result is this task's own in these rows.
            unsafe {
                for (i, panel) in panels.iter().enumerate() {
                    let head = &bytemuck::cast_slice(panel)[..head_bytes];
                    let (scales, shifts) = (scales.as_mut_ptr().add(i * PANEL), pointer(shifts));
                    let shifts = if shifts.is_null() { shifts } else { shifts.add(i * PANEL) };
                    acts.isa.run(ReadScales { plan, head, groups, scales, shifts, stride: width });
                }
                acc.fill(0.0);
                for start in (0..groups).step_by(depth) {
                    let groups = depth.min(groups - start);
                    for (i, panel) in panels.iter().enumerate() {
                        let words = panel[head_bytes / 4 + start * BITS * PANEL..].as_ptr().cast();
                        let wide = wide.as_mut_ptr().add(i * PANEL);
                        acts.isa.run(Widen::<BITS> { words, groups, wide, width });
                    }
                    let (wide, acc) = (wide.as_ptr(), acc.as_mut_ptr());
                    let scales = scales.as_ptr().add(start * parts * width);
                    let shifts = pointer(shifts);
                    let shifts = if shifts.is_null() { shifts } else { shifts.add(start * parts * width) };
                    if has_halves(BITS) {
                        acts.isa.run(TileProducts::<true> { acts, start, groups, wide, scales, shifts, acc });
                    } else {
                        acts.isa.run(TileProducts::<false> { acts, start, groups, wide, scales, shifts, acc });
                    }
                }
                for t in 0..acts.m {
                    self.out.at(t * self.stride + row).copy_from_nonoverlapping(acc[t * width..].as_ptr(), columns);
                }
            }
        }
    }
}

/// The numbers, or null where there are none.
fn pointer(numbers: &mut [f32]) -> *mut f32 {
    if numbers.is_empty() { std::ptr::null_mut() } else { numbers.as_mut_ptr() }
}
