//! The scales of a panel as f32.

use super::packed::{PANEL, Plan, Scales};
use crate::backend::cpu::simd::{Kernel, Simd};

/// Writes the scales of a panel, and what a product adds for each sum of activations: minus the offset times the scale, plus or
/// minus a minimum.
///
/// The kernel's promise: `head` holds the scales of whole blocks of that plan, `groups` groups of 32; `scales`, and `shifts` if
/// the plan is shifted, have `groups * plan.parts()` places of [`PANEL`] numbers, `stride` apart.
pub(super) struct ReadScales<'a> {
    pub plan: Plan,
    pub head: &'a [u8],
    pub groups: usize,
    pub scales: *mut f32,
    pub shifts: *mut f32,
    pub stride: usize,
}

impl Kernel for ReadScales<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { plan, head, groups, scales, shifts, stride } = self;
        let p = head.as_ptr();
        let bytes = plan.head() * PANEL;
        // SAFETY: the kernel's promise; a register has as many lanes as a panel rows.
        unsafe {
            let offset = S::splat(-f32::from(plan.offset));
            match plan.scales {
                Scales::Half => {
                    for g in 0..groups {
                        let scale = S::load_f16(p.add(g * bytes));
                        S::store(scales.add(g * stride), scale);
                        if plan.mins {
                            S::store(shifts.add(g * stride), S::load_f16(p.add(g * bytes + 2 * PANEL)));
                        } else if plan.offset != 0 {
                            S::store(shifts.add(g * stride), S::mul(scale, offset));
                        }
                    }
                }
                Scales::Single => {
                    for g in 0..groups {
                        S::store(scales.add(g * stride), S::load(p.add(g / 8 * bytes).cast()));
                    }
                }
                Scales::Integer => {
                    let count = plan.integers();
                    for block in 0..groups / 8 {
                        let p = p.add(block * bytes);
                        let d = S::load_f16(p);
                        let integers = p.add(if plan.mins { 4 } else { 2 } * PANEL).cast::<i8>();
                        let d_min = if plan.mins { S::load_f16(p.add(2 * PANEL)) } else { d };
                        let d_min = S::mul(d_min, S::splat(-1.0));
                        for i in 0..count {
                            let at = (block * count + i) * stride;
                            let scale = S::mul(d, S::load_i8(integers.add(i * PANEL)));
                            S::store(scales.add(at), scale);
                            if plan.mins {
                                let min = S::load_i8(integers.add((count + i) * PANEL));
                                S::store(shifts.add(at), S::mul(d_min, min));
                            } else if plan.offset != 0 {
                                S::store(shifts.add(at), S::mul(scale, offset));
                            }
                        }
                    }
                }
            }
        }
    }
}
