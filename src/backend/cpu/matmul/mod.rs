//! Matrix products: [`linear_f32`] by weights of any dtype, [`linear_packed`] by packed ones, [`gemm_f32`] of strided f32
//! matrices.
//!
//! Weights of block formats are packed into panels of rows ([`Packed`]), at best when they are loaded, and activations quantized
//! to 14 bits once, to be multiplied as integers, 32 at a time; the result differs from a product by the dequantized weights by
//! that rounding only (each activation by at most 1/16382 of the largest of its 32). Float weights are converted as they are
//! read. The work is split over the pool by weight rows.

mod activations;
mod base;
mod bits;
pub(super) mod blocked;
mod float;
mod matrix;
mod packed;
mod quantized;
mod scales;
#[cfg(test)]
mod tests;
mod vector;

pub use activations::Activations;
pub(super) use base::{Target, check_isa};
pub use base::{gemm_f32, gemm_f32_on, linear_f32, linear_f32_on, linear_packed};
pub(super) use packed::PANEL;
pub use packed::{Packed, Packing};
