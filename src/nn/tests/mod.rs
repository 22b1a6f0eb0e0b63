//! Layers, losses and optimisers against PyTorch: goldens made by `tests/generators/nn/`.

mod arrival;
mod layers;
mod optim;
mod parameters;
mod transformer;

use super::StateDict;
use crate::{Device, Result, Tensor};

fn cpu() -> Device {
    Device::cpu()
}

fn floats(x: &Tensor) -> Vec<f32> {
    x.to_vec_sync().unwrap()
}

/// The text of an error.
fn fails<T>(result: Result<T>) -> String {
    result.err().expect("should fail").to_string()
}

/// A golden file.
fn golden(name: &str) -> StateDict {
    StateDict::load(format!("{}/tests/golden/nn/{name}.safetensors", env!("CARGO_MANIFEST_DIR")), &cpu()).unwrap()
}
