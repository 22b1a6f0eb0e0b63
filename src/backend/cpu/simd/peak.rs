//! What an instruction set can do at most, for benchmarks to compare kernels with.

use super::{Isa, Kernel, Lanes, Simd};
use crate::error::{Error, Result};

/// Numbers of each operand: few enough for the first-level cache.
const OPERANDS: usize = 1 << 10;
/// How often they are gone through in a round.
const TIMES: usize = 256;

/// What to keep busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Multiply-adds of f32 in register tiles.
    Floats,
    /// Dot products of pairs of i16 in register tiles.
    Integers,
    /// Reading memory.
    Memory,
}

/// Multiply-adds (bytes read for [`Limit::Memory`]) that one round does with that instruction set and memory; `sum` becomes
/// something that depends on all of them.
///
/// # Errors
/// When this machine does not have the instruction set.
pub fn round(isa: Isa, limit: Limit, memory: &[f32], sum: &mut f32) -> Result<usize> {
    super::super::matmul::check_isa("peak", isa)?;
    let mut done = 0;
    let operands = [0.5f32; 2 * OPERANDS];
    let memory = if limit == Limit::Memory { memory } else { &operands };
    // SAFETY: the machine has the instruction set.
    unsafe { isa.run(Busy { limit, memory, sum, done: &mut done }) };
    if done == 0 {
        return Err(Error::argument("peak", "too little memory to read"));
    }
    Ok(done)
}

struct Busy<'a> {
    limit: Limit,
    memory: &'a [f32],
    sum: &'a mut f32,
    done: &'a mut usize,
}

impl Kernel for Busy<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the kernel's promise; operands are of twice OPERANDS numbers.
        unsafe {
            *self.done = match self.limit {
                Limit::Floats => match <S::Tile as Lanes>::ROWS {
                    12 => floats::<S::Tile, 12>(self.memory, self.sum),
                    _ => floats::<S::Tile, 4>(self.memory, self.sum),
                },
                Limit::Integers => match <S::Tile as Lanes>::TOKENS {
                    8 => integers::<S::Tile, 8>(self.memory, self.sum),
                    _ => integers::<S::Tile, 4>(self.memory, self.sum),
                },
                Limit::Memory => read::<S>(self.memory, self.sum),
            };
        }
    }
}

/// # Safety
/// As for [`Busy`].
#[inline(always)]
unsafe fn floats<L: Lanes, const R: usize>(operands: &[f32], sum: &mut f32) -> usize {
    let (rows, columns) = operands.split_at(OPERANDS);
    let steps = (OPERANDS / (2 * L::LANES)).min(OPERANDS / R);
    // SAFETY: the caller's promise; steps stay inside both halves.
    unsafe {
        let mut tile = [[L::splat(0.0); 2]; R];
        for _ in 0..TIMES {
            for step in 0..steps {
                let at = columns.as_ptr().add(step * 2 * L::LANES);
                let column = [L::load(at), L::load(at.add(L::LANES))];
                for (r, tile) in tile.iter_mut().enumerate() {
                    let row = L::splat(*rows.as_ptr().add(step * R + r));
                    *tile = [L::mul_add(row, column[0], tile[0]), L::mul_add(row, column[1], tile[1])];
                }
            }
        }
        for [a, b] in tile {
            let mut lanes = [0.0; 16];
            L::store(lanes.as_mut_ptr(), L::add(a, b));
            *sum += lanes[0];
        }
    }
    TIMES * steps * R * 2 * L::LANES
}

/// # Safety
/// As for [`Busy`].
#[inline(always)]
unsafe fn integers<L: Lanes, const T: usize>(operands: &[f32], sum: &mut f32) -> usize {
    let (tokens, weights) = operands.split_at(OPERANDS);
    let steps = (OPERANDS / (2 * L::LANES)).min(OPERANDS / T);
    // SAFETY: the caller's promise; steps stay inside both halves.
    unsafe {
        let mut tile = [[L::zero_i32(); 2]; T];
        for _ in 0..TIMES {
            for step in 0..steps {
                let at = weights.as_ptr().cast::<i32>().add(step * 2 * L::LANES);
                let weight = [L::load_i32(at), L::load_i32(at.add(L::LANES))];
                for (t, tile) in tile.iter_mut().enumerate() {
                    let token = L::splat_i32(tokens.as_ptr().cast::<i32>().add(step * T + t));
                    *tile = [L::dot_pairs(tile[0], weight[0], token), L::dot_pairs(tile[1], weight[1], token)];
                }
            }
        }
        for [a, b] in tile {
            let mut lanes = [0.0; 16];
            L::store(lanes.as_mut_ptr(), L::add(L::to_f32(a), L::to_f32(b)));
            *sum += lanes[0];
        }
    }
    // pairs
    TIMES * steps * T * 2 * L::LANES * 2
}

/// # Safety
/// As for [`Busy`].
#[inline(always)]
unsafe fn read<S: Simd>(memory: &[f32], sum: &mut f32) -> usize {
    let step = 4 * S::LANES;
    let whole = memory.len() / step * step;
    // SAFETY: reads stay inside the memory.
    unsafe {
        let mut sums = [S::splat(0.0); 4];
        for at in (0..whole).step_by(step) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = S::add(*sum, S::load(memory.as_ptr().add(at + i * S::LANES)));
            }
        }
        *sum += S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])));
    }
    4 * whole
}
