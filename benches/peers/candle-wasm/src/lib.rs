//! candle's quantized Llama behind four calls, for comparing tokens per second on the same GGUF file.

use candle_core::{Device, Tensor, quantized::gguf_file};
use candle_transformers::models::quantized_llama::ModelWeights;
use wasm_bindgen::prelude::*;

/// A loaded model; candle keeps the key-value cache inside and starts it anew at position 0.
#[wasm_bindgen]
pub struct CandleLlama {
    model: ModelWeights,
    position: usize,
}

fn js(error: candle_core::Error) -> JsError {
    JsError::new(&error.to_string())
}

#[wasm_bindgen]
impl CandleLlama {
    /// Reads a whole GGUF file, as candle's wasm examples do.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Vec<u8>) -> Result<CandleLlama, JsError> {
        let mut reader = std::io::Cursor::new(bytes);
        let content = gguf_file::Content::read(&mut reader).map_err(js)?;
        let model = ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).map_err(js)?;
        Ok(Self { model, position: 0 })
    }
    /// Starts over.
    pub fn reset(&mut self) {
        self.position = 0;
    }
    /// Computes `ids` after what has been computed and returns the greedy next id.
    pub fn forward(&mut self, ids: &[u32]) -> Result<u32, JsError> {
        let input = Tensor::new(ids, &Device::Cpu).and_then(|t| t.unsqueeze(0)).map_err(js)?;
        let logits = self.model.forward(&input, self.position).and_then(|l| l.squeeze(0)).map_err(js)?;
        self.position += ids.len();
        logits.argmax(0).and_then(|t| t.to_scalar::<u32>()).map_err(js)
    }
}
