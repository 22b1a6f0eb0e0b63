//! Matrix products: [`linear_f32`] by weights of any dtype, [`gemm_f32`] of strided f32 matrices.
//!
//! By block formats, activations are quantized to 15 bits once and multiplied as integers, 32 at a time; the result differs
//! from a product by the dequantized weights by that rounding only. Float weights are converted as they are read. The work is split over the pool by weight rows.

mod activations;
mod base;
pub(super) mod blocked;
mod float;
mod formats;
mod matrix;
#[cfg(test)]
mod tests;
mod vector;

pub(super) use base::Target;
pub use base::{gemm_f32, gemm_f32_on, linear_f32, linear_f32_on};
