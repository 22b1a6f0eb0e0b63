//! Tests of `text`, against references and against files that lie.

mod hostile;
mod sampling;
mod streams;
mod templates;
mod tokenizers;

use super::{
    ChatTemplate, DetokenizeStream, Message, RenderOptions, Rng, Sampler, SamplingOptions, StopMatcher, Tokenizer,
};
use crate::format::{ByteSource, FileSource, Metadata, Value as Meta, gguf};
use serde_json::{Value, json};
use std::path::PathBuf;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/text_tokenizers.json")).unwrap()
}

fn model_file(name: &str) -> PathBuf {
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache =
        || cache().unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"));
    let models = std::env::var_os("VOTIVE_MODELS").map_or_else(|| cache().join("votive/models"), PathBuf::from);
    let path = models.join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask fetch --tests`", path.display());
    path
}

fn model_tokenizer(name: &str) -> Tokenizer {
    let source: Box<dyn ByteSource> = Box::new(FileSource::open(model_file(name)).unwrap());
    let header = pollster::block_on(gguf::read_header(source.as_ref())).unwrap();
    Tokenizer::from_gguf(&header.metadata).unwrap()
}

const SMOLLM2: &str = "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";

fn smollm2() -> Tokenizer {
    model_tokenizer(SMOLLM2)
}

fn gemma3() -> Tokenizer {
    model_tokenizer("gemma3-270m/gemma-3-270m-q4_k_m.gguf")
}

fn strings(v: &Value) -> Vec<String> {
    v.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
}

fn ids(v: &Value) -> Vec<u32> {
    v.as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as u32).collect()
}

fn metadata(entries: impl IntoIterator<Item = (&'static str, Meta)>) -> Metadata {
    Metadata(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

fn small(golden: &Value, kind: &str, pre: &str) -> Metadata {
    let types = ids(&golden["types"]).into_iter().map(i64::from).collect();
    let mut m = metadata([
        ("tokenizer.ggml.model", Meta::String(kind.into())),
        ("tokenizer.ggml.pre", Meta::String(pre.into())),
        ("tokenizer.ggml.tokens", Meta::Strings(strings(&golden["tokens"]))),
        ("tokenizer.ggml.token_type", Meta::Ints(types)),
        ("tokenizer.ggml.bos_token_id", Meta::U32(0)),
        ("tokenizer.ggml.eos_token_id", Meta::U32(1)),
    ]);
    if let Some(scores) = golden["scores"].as_array() {
        let scores = scores.iter().map(|s| s.as_f64().unwrap() as f32).collect();
        m.0.insert("tokenizer.ggml.scores".into(), Meta::F32s(scores));
    } else {
        m.0.insert("tokenizer.ggml.merges".into(), Meta::Strings(strings(&golden["merges"])));
    }
    m
}

/// A tokenizer.json of the small vocabulary, with GPT-2's pre-tokenizer.
fn small_json() -> Value {
    let golden = &golden()["small_bpe"];
    let tokens = strings(&golden["tokens"]);
    let vocab: serde_json::Map<_, _> = tokens.iter().enumerate().map(|(i, t)| (t.clone(), i.into())).collect();
    let added = |id: usize| {
        json!({"id": id, "content": tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true})
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": (0..4).map(added).collect::<Vec<_>>(),
        "normalizer": null, "post_processor": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": golden["merges"]},
    })
}

/// Random text: characters of many scripts, often with the texts that tokenizers treat specially.
fn random_text(rng: &mut Rng) -> String {
    let mut pick = |n: usize| (rng.next_u64() % n as u64) as usize;
    let mut text = String::new();
    for _ in 0..pick(40) {
        match pick(8) {
            0 => text.push_str(["  ", "\n", " a", "'s", "\r\n", "\t", "<|im_end|>", "123"][pick(8)]),
            1..=3 => text.push(char::from(b' ' + pick(95) as u8)),
            4 => text.extend(char::from_u32(0xa0 + pick(0x2000) as u32)),
            5 => text.extend(char::from_u32(0x3000 + pick(0x8000) as u32)),
            6 => text.extend(char::from_u32(0x1f300 + pick(0x400) as u32)),
            _ => text.extend(char::from_u32(pick(0x11_0000) as u32)),
        }
    }
    text
}
