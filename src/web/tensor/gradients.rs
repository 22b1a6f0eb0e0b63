//! Gradients, by the tensor that they belong to.

use super::{args::IntoJs, tensor};
use crate::{
    autograd::{Gradients, clip_grad_norm, clip_grad_value},
    error::Result,
    web::convert::to_js,
};
use wasm_bindgen::prelude::*;

/// What `backward` gives.
#[wasm_bindgen]
pub struct WasmGradients(Gradients);

impl WasmGradients {
    pub(super) fn new(gradients: Gradients) -> Self {
        Self(gradients)
    }
}

#[wasm_bindgen]
impl WasmGradients {
    /// The gradient of a leaf; null when nothing depends on it.
    pub fn get(&self, leaf: &JsValue) -> Result<JsValue, JsValue> {
        let found = || self.0.get(&tensor(leaf)?).cloned().into_js();
        found().map_err(to_js)
    }
    /// Replaces the gradient of a leaf.
    pub fn set(&mut self, leaf: &JsValue, grad: &JsValue) -> Result<(), JsValue> {
        let mut set = || -> Result<()> {
            self.0.insert(&tensor(leaf)?, tensor(grad)?);
            Ok(())
        };
        set().map_err(to_js)
    }
    /// How many there are.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> usize {
        self.0.len()
    }
    /// Scales all so that their norm together is at most `max`; returns the norm before.
    #[wasm_bindgen(js_name = clipNorm)]
    pub fn clip_norm(&mut self, max: f64, p: f64) -> Result<JsValue, JsValue> {
        clip_grad_norm(&mut self.0, max, p).and_then(IntoJs::into_js).map_err(to_js)
    }
    /// Limits every element to `-limit..=limit`.
    #[wasm_bindgen(js_name = clipValue)]
    pub fn clip_value(&mut self, limit: f64) -> Result<(), JsValue> {
        clip_grad_value(&mut self.0, limit).map_err(to_js)
    }
}
