//! What model tests share: where real models are, and files derived from them.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod derive;

use pollster::block_on;
use serde_json::Value;
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    rc::Rc,
};
use votive::{
    Device, Result,
    format::{Checkpoint, FileSource},
    models::{Decoder, DecoderConfig},
    nn::Weights,
};

/// SmolLM2 135M Instruct as published: Q4_1 with Q8_0 embeddings.
pub const SMOLLM2: &str = "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
/// Gemma 3 270M, mixed Q5_0, Q4_K, Q8_0, Q6_K.
pub const GEMMA3: &str = "gemma3-270m/gemma-3-270m-q4_k_m.gguf";

/// Where `cargo xtask fetch` puts models.
pub fn models_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("VOTIVE_MODELS") {
        return dir.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").or(std::env::var_os("USERPROFILE"));
        PathBuf::from(home.expect("a home directory, or VOTIVE_MODELS set")).join(".cache")
    });
    cache.join("votive").join("models")
}

/// A fetched model; the test fails, never passes silently, where it is missing.
pub fn model(path: &str) -> PathBuf {
    let file = models_dir().join(path);
    assert!(file.is_file(), "{} is missing: run `cargo xtask fetch --tests`", file.display());
    file
}

/// A file beside the tests.
pub fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

/// A JSON file beside the tests.
pub fn golden_json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(path)).unwrap()).unwrap()
}

/// An opened model file.
pub fn open(path: &Path) -> Rc<Checkpoint> {
    let source = FileSource::open(path).unwrap();
    Rc::new(block_on(Checkpoint::open(vec![Box::new(source)])).unwrap())
}

/// A decoder from a GGUF file.
pub fn load_gguf(path: &Path) -> Decoder {
    let checkpoint = open(path);
    let config = DecoderConfig::from_gguf(checkpoint.metadata().unwrap(), &checkpoint).unwrap();
    load(config, &Weights::from_checkpoint(checkpoint, &Device::cpu())).unwrap()
}

/// A decoder from a configuration and safetensors.
pub fn load_safetensors(config: &Path, weights: &Path) -> Decoder {
    let config = DecoderConfig::from_json(&std::fs::read_to_string(config).unwrap()).unwrap();
    load(config, &Weights::from_checkpoint(open(weights), &Device::cpu())).unwrap()
}

/// Loads without watching the progress.
pub fn load(config: DecoderConfig, weights: &Weights) -> Result<Decoder> {
    block_on(Decoder::load(config, weights, &mut |_| ControlFlow::Continue(())))
}

/// A list of token ids in a reference file.
pub fn ids(reference: &Value, key: &str) -> Vec<u32> {
    reference[key].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// Pairs of token and logit in a reference file.
pub fn top10(reference: &Value, key: &str) -> Vec<(usize, f32)> {
    let pairs = reference[key].as_array().unwrap().iter();
    pairs.map(|p| (p[0].as_u64().unwrap() as usize, p[1].as_f64().unwrap() as f32)).collect()
}

/// Logits of the last of `ids`.
pub fn first_logits(model: &Decoder, ids: &[u32]) -> Vec<f32> {
    block_on(model.forward(ids, &mut model.new_cache()).unwrap().to_vec()).unwrap()
}

/// Index of the largest.
pub fn argmax(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]).then(b.cmp(&a))).unwrap() as u32
}

/// `count` tokens, each the likeliest; ends after one of `stops`.
pub fn greedy(model: &Decoder, prompt: &[u32], count: usize, stops: &[u32]) -> Vec<u32> {
    let mut cache = model.new_cache();
    let mut next = prompt.to_vec();
    let mut out = Vec::new();
    while out.len() < count && !out.last().is_some_and(|id| stops.contains(id)) {
        let logits = model.forward(&next, &mut cache).unwrap();
        next = vec![argmax(&block_on(logits.to_vec::<f32>()).unwrap())];
        out.extend(&next);
    }
    out
}

/// Largest difference.
pub fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
