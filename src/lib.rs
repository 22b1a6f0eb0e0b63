//! Votive runs neural networks where the user is: in the browser (WebAssembly, WebGPU) and natively, from one source.

#[cfg(feature = "whisper")]
pub mod audio;
pub mod autograd;
pub mod backend;
#[cfg(any(feature = "text", feature = "webgpu"))]
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod device;
pub mod dtype;
pub mod error;
pub mod format;
#[cfg(not(target_arch = "wasm32"))]
pub mod hub;
pub mod layout;
pub mod models;
pub mod nn;
pub mod op;
pub mod quant;
pub mod shape;
#[cfg(feature = "text")]
pub mod task;
pub mod tensor;
#[cfg(feature = "text")]
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use device::Device;
pub use dtype::{DType, Element};
pub use error::{Error, Result};
pub use layout::Layout;
pub use shape::{HOLE, Shape};
pub use tensor::{Ellipsis, Generator, NewAxis, Tensor, manual_seed, step};

/// Runs a future to its end on this thread: loading and reading are asynchronous for the browser's sake.
///
/// ```
/// use votive::{Device, Tensor};
/// let x = Tensor::new([1.0f32, 2.0], &Device::cpu())?;
/// assert_eq!(votive::block_on(x.to_vec::<f32>())?, [1.0, 2.0]);
/// # Ok::<(), votive::Error>(())
/// ```
#[cfg(not(target_arch = "wasm32"))]
pub fn block_on<F: std::future::Future>(future: F) -> F::Output {
    pollster::block_on(future)
}

/// The examples of the page for people who come from PyTorch.
#[cfg(doctest)]
#[doc = include_str!("../docs/pytorch.md")]
struct PytorchPage;

/// The examples of the front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct FrontPage;
