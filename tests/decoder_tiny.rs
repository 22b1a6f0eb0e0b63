//! The decoder against transformers, on tiny random models of every family (tests/generators/tiny_models.py).

mod common;

use common::{derive, golden, golden_json, load, load_safetensors, max_difference, open};
use pollster::block_on;
use serde_json::{Value as Json, json};
use std::{collections::HashMap, ops::ControlFlow};
use votive::{
    DType, Device, Error, Tensor,
    backend::cpu::Buffer,
    format::{Checkpoint, MemorySource, TensorSpec, Value},
    models::{Decoder, DecoderConfig},
    nn::Weights,
};

/// The same f16 weights and f32 arithmetic on both sides: what is left is the order of sums, over logits of up to about 6 (measured: 4e-5).
const TOLERANCE: f32 = 1e-4;

struct Case {
    name: String,
    model: Decoder,
    ids: Vec<u32>,
    logits: Vec<f32>,
}

fn case(name: &str) -> Case {
    let cases = golden_json("models/cases.json");
    let entry = cases.as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
    let weights = golden(&format!("models/{}.safetensors", entry["weights"].as_str().unwrap()));
    let model = load_safetensors(&golden(&format!("models/{name}.config.json")), &weights);
    let expected = open(&golden(&format!("models/{name}.expected.safetensors")));
    let ids = block_on(expected.read("ids")).unwrap().bytes().iter().map(|&id| id.into()).collect();
    let logits = block_on(expected.read("logits")).unwrap().as_slice::<f32>().unwrap().to_vec();
    Case { name: name.into(), model, ids, logits }
}

fn names() -> Vec<String> {
    let cases = golden_json("models/cases.json");
    cases.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_string()).collect()
}

fn values(tensor: votive::Result<Tensor>) -> Vec<f32> {
    block_on(tensor.unwrap().to_vec()).unwrap()
}

fn all_logits(model: &Decoder, ids: &[u32]) -> Vec<f32> {
    values(model.forward_all(ids, &mut model.new_cache()))
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], wanted: &[f32]) {
    let difference = max_difference(got, wanted);
    println!("{what}: {difference:.1e}");
    assert!(difference <= TOLERANCE, "{what}: logits differ by {difference}");
}

#[test]
fn every_family_computes_what_transformers_computes() {
    for name in names() {
        let case = case(&name);
        assert_close(&name, &all_logits(&case.model, &case.ids), &case.logits);
    }
}

#[test]
fn forward_gives_the_last_position() {
    let case = case("llama");
    let logits = case.model.forward(&case.ids, &mut case.model.new_cache()).unwrap();
    assert_eq!(logits.dims(), [1, 80]);
    assert_close("last", &values(Ok(logits)), &case.logits[case.logits.len() - 80..]);
}

/// Prefill in pieces and token by token gives what one pass gives, also where a sliding window cuts. (Dynamic rope
/// scaling is left out: there the frequencies depend on how the sequence came in.)
#[test]
fn a_prompt_in_pieces_gives_the_same_logits() {
    for name in names().iter().filter(|n| !["llama_dynamic", "phi3_long"].contains(&n.as_str())) {
        let case = case(name);
        for sizes in [vec![5, 1, 11, 7], vec![1; 24], vec![23, 1]] {
            let mut cache = case.model.new_cache();
            let mut rest = &case.ids[..];
            let mut logits = Vec::new();
            for size in &sizes {
                let (piece, tail) = rest.split_at(*size);
                logits.extend(values(case.model.forward_all(piece, &mut cache)));
                rest = tail;
            }
            assert_eq!(cache.len(), 24);
            assert_close(&format!("{} in pieces {sizes:?}", case.name), &logits, &case.logits);
        }
    }
}

#[test]
fn a_truncated_cache_continues_as_a_fresh_one() {
    for name in ["llama", "mistral", "gemma3", "falcon_40b"] {
        let case = case(name);
        let mut cache = case.model.new_cache();
        let other: Vec<u32> = case.ids.iter().map(|id| 79 - id).collect();
        // The first ten tokens as wanted, then others, which are taken back.
        case.model.forward(&case.ids[..10], &mut cache).unwrap();
        case.model.forward(&other, &mut cache).unwrap();
        cache.truncate(10);
        assert_eq!(cache.len(), 10);
        let logits = values(case.model.forward_all(&case.ids[10..], &mut cache));
        assert_close(name, &logits, &case.logits[10 * 80..]);
        let held = cache.bytes();
        assert!(held > 0);
        cache.clear();
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
        assert_close(name, &values(case.model.forward_all(&case.ids, &mut cache)), &case.logits);
        assert!(cache.bytes() <= held);
    }
}

#[test]
fn the_cache_doubles_when_it_is_full() {
    let model = case("mistral_full").model;
    let ids: Vec<u32> = (0..300u32).map(|i| 3 + i * 31 % 77).collect();
    let whole = all_logits(&model, &ids);
    let mut cache = model.new_cache();
    let mut sizes = Vec::new();
    let mut logits = Vec::new();
    for piece in ids.chunks(9) {
        logits.extend(values(model.forward_all(piece, &mut cache)));
        sizes.push(cache.bytes());
    }
    sizes.dedup();
    assert_close("300 tokens by nines", &logits, &whole);
    assert_eq!(sizes.len(), 3, "128, 256, 512 tokens");
    assert!(sizes.windows(2).all(|w| w[1] == 2 * w[0]), "{sizes:?}");
}

/// A tiny model as a GGUF file: names, metadata and the changes to weights that llama.cpp's converter makes.
fn as_gguf(name: &str, architecture: &str) -> Decoder {
    let weights = golden_json("models/cases.json");
    let entry = weights.as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
    let source = open(&golden(&format!("models/{}.safetensors", entry["weights"].as_str().unwrap())));
    let config = golden_json(&format!("models/{name}.config.json"));
    let uint = |key: &str| config[key].as_u64();
    let (heads, kv_heads) =
        (uint("num_attention_heads").unwrap() as usize, uint("num_key_value_heads").unwrap() as usize);
    let gemma = architecture.starts_with("gemma");
    let mut tensors = Vec::new();
    for info in source.tensors() {
        let name = gguf_name(&info.name, gemma);
        let mut values = derive::values(&source, info);
        let dims = info.shape.dims();
        if architecture == "llama" {
            let row = dims.get(1).copied().unwrap_or(1);
            for (part, heads) in [("attn_q.", heads), ("attn_k.", kv_heads)] {
                if name.contains(part) {
                    values = derive::interleaved_from_half(&values, row, heads);
                }
            }
        }
        if gemma && name.ends_with("norm.weight") {
            values.iter_mut().for_each(|v| *v += 1.0);
        }
        let dtype = if dims.len() < 2 { DType::F32 } else { DType::F16 };
        tensors.push((TensorSpec { name, dtype, shape: info.shape.clone() }, values));
    }
    let mut pairs = vec![("general.architecture".to_string(), Value::String(architecture.into()))];
    for (key, field) in [
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("block_count", "num_hidden_layers"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("attention.value_length", "head_dim"),
        ("attention.sliding_window", "sliding_window"),
        ("context_length", "max_position_embeddings"),
        ("rope.scaling.original_context_length", "original_max_position_embeddings"),
    ] {
        pairs.extend(uint(field).map(|v| (format!("{architecture}.{key}"), Value::U32(v as u32))));
    }
    for (key, field) in [
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("rope.freq_base", "rope_theta"),
        ("rope.freq_base_swa", "rope_local_base_freq"),
    ] {
        pairs.extend(config[field].as_f64().map(|v| (format!("{architecture}.{key}"), Value::F32(v as f32))));
    }
    let scaling = &config["rope_scaling"];
    let mut kind = scaling["rope_type"].as_str().or(scaling["type"].as_str());
    let mut factors = |name: &str, values: Vec<f32>| {
        tensors.push((TensorSpec { name: name.into(), dtype: DType::F32, shape: values.len().into() }, values));
    };
    if kind == Some("llama3") {
        kind = None; // converters write the factors instead
        factors("rope_freqs.weight", llama3_factors(scaling, &config));
    }
    if kind == Some("longrope") {
        let list = |key: &str| scaling[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        factors("rope_factors_short.weight", list("short_factor"));
        factors("rope_factors_long.weight", list("long_factor"));
    }
    if let Some(kind) = kind {
        pairs.push((format!("{architecture}.rope.scaling.type"), Value::String(kind.into())));
        let factor = scaling["factor"].as_f64().map(|f| Value::F32(f as f32));
        pairs.extend(factor.map(|f| (format!("{architecture}.rope.scaling.factor"), f)));
    }
    let bytes = derive::gguf_bytes(pairs, &tensors);
    let sources: Vec<Box<dyn votive::format::ByteSource>> = vec![Box::new(MemorySource::new("tiny.gguf", bytes))];
    let checkpoint = std::rc::Rc::new(block_on(Checkpoint::open(sources)).unwrap());
    let config = DecoderConfig::from_gguf(checkpoint.metadata().unwrap(), &checkpoint).unwrap();
    load(config, &Weights::from_checkpoint(checkpoint, &Device::cpu())).unwrap()
}

/// What llama.cpp's converter writes for Llama 3.1: a divisor per frequency, by wavelength.
fn llama3_factors(scaling: &Json, config: &Json) -> Vec<f32> {
    let number = |key: &str| scaling[key].as_f64().unwrap();
    let (factor, low, high) = (number("factor"), number("low_freq_factor"), number("high_freq_factor"));
    let original = number("original_max_position_embeddings");
    let size = config["hidden_size"].as_f64().unwrap() / config["num_attention_heads"].as_f64().unwrap();
    let wavelengths = (0..size as usize / 2)
        .map(|i| std::f64::consts::TAU * config["rope_theta"].as_f64().unwrap().powf(2.0 * i as f64 / size));
    let divisor = |length: f64| match length {
        l if l < original / high => 1.0,
        l if l > original / low => factor,
        l => {
            let smooth = (original / l - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    wavelengths.map(|l| divisor(l) as f32).collect()
}

fn gguf_name(name: &str, gemma: bool) -> String {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let Some((layer, rest)) = name.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) else {
        let (stem, suffix) = name.rsplit_once('.').unwrap();
        let stem = match stem {
            "embed_tokens" => "token_embd",
            "norm" => "output_norm",
            "lm_head" => "output",
            other => panic!("no GGUF name for {other}"),
        };
        return format!("{stem}.{suffix}");
    };
    let (stem, suffix) = rest.rsplit_once('.').unwrap();
    let stem = match stem {
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" if gemma => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.qkv_proj" => "attn_qkv",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" | "mlp.gate_up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        other => panic!("no GGUF name for {other}"),
    };
    format!("blk.{layer}.{stem}.{suffix}")
}

#[test]
fn gguf_files_compute_the_same() {
    for (name, architecture) in [
        ("llama", "llama"),
        ("llama_linear", "llama"),
        ("llama_llama3", "llama"),
        ("mistral", "llama"),
        ("qwen2", "qwen2"),
        ("qwen3", "qwen3"),
        ("gemma3", "gemma3"),
        ("phi3", "phi3"),
        ("phi3_long", "phi3"),
    ] {
        let case = case(name);
        assert_close(name, &all_logits(&as_gguf(name, architecture), &case.ids), &case.logits);
    }
}

/// A llama of one layer, sizes 256, with weights in `dtype` and the same weights dequantized.
fn quantized_pair(dtype: DType) -> (Decoder, Decoder) {
    let config = json!({"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "rms_norm_eps": 1e-5});
    let config = DecoderConfig::from_json(&config.to_string()).unwrap();
    let mut shapes = vec![("model.embed_tokens".to_string(), vec![64, 256]), ("model.norm".into(), vec![256])];
    for layer in 0..2 {
        for (name, dims) in [
            ("input_layernorm", vec![256]),
            ("post_attention_layernorm", vec![256]),
            ("self_attn.q_proj", vec![256, 256]),
            ("self_attn.k_proj", vec![128, 256]),
            ("self_attn.v_proj", vec![128, 256]),
            ("self_attn.o_proj", vec![256, 256]),
            ("mlp.gate_proj", vec![512, 256]),
            ("mlp.up_proj", vec![512, 256]),
            ("mlp.down_proj", vec![256, 512]),
        ] {
            shapes.push((format!("model.layers.{layer}.{name}"), dims));
        }
    }
    let device = Device::cpu();
    let (mut quantized, mut plain) = (HashMap::new(), HashMap::new());
    let mut state = 1u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    for (name, dims) in shapes {
        let name = format!("{name}.weight");
        let count = dims.iter().product();
        let mut values: Vec<f32> =
            if dims.len() == 1 { vec![1.0; count] } else { (0..count).map(|_| random() * 0.12).collect() };
        if dims.len() == 2 {
            let bytes = derive::encode(&values, dtype);
            votive::quant::dequantize(dtype, &bytes, &mut values).unwrap();
            let bytes = Buffer::copy_from(&bytes).unwrap();
            quantized.insert(name.clone(), Tensor::from_buffer(bytes, dtype, dims.clone(), &device).unwrap());
        } else {
            quantized.insert(name.clone(), Tensor::from_slice(&values, dims.clone(), &device).unwrap());
        }
        plain.insert(name, Tensor::from_slice(&values, dims, &device).unwrap());
    }
    let model = |map| load(config.clone(), &Weights::from_tensors(map, &device)).unwrap();
    (model(quantized), model(plain))
}

/// All formats, with rows of 256, through a whole model: prefill (many rows) and decode (one row).
#[test]
fn quantized_models_compute_what_their_dequantized_weights_compute() {
    for dtype in DType::ALL.into_iter().filter(|d| d.is_quantized()) {
        let (quantized, plain) = quantized_pair(dtype);
        let ids: Vec<u32> = (0..20).map(|i| i * 7 % 64).collect();
        let wanted = all_logits(&plain, &ids);
        let size = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
        let mut cache = quantized.new_cache();
        let mut got = values(quantized.forward_all(&ids[..15], &mut cache));
        for id in &ids[15..] {
            got.extend(values(quantized.forward_all(&[*id], &mut cache)));
        }
        // Activations are rounded to 8 bits in blocks of 32: an error of 0.5 % of a typical value in each product, of
        // which a dozen add up on the way to the logits (independently, so with the root of their number).
        let error = size(&mut got.iter().zip(&wanted).map(|(a, b)| a - b)) / size(&mut wanted.iter().copied());
        println!("{dtype}: {error:.4} of the logits' size");
        assert!(error < 0.04, "{dtype}: logits differ by {error} of their size");
    }
}

#[test]
fn a_lying_config_is_an_error_before_anything_is_allocated() {
    let good = golden_json("models/llama.config.json");
    assert!(DecoderConfig::from_json(&good.to_string()).is_ok());
    for (field, value, wanted) in [
        ("num_attention_heads", json!(0), "heads"),
        ("num_attention_heads", json!(5), "5 heads"),
        ("num_attention_heads", json!(-4), "whole number"),
        ("num_attention_heads", json!("four"), "whole number"),
        ("num_key_value_heads", json!(3), "3 key/value heads"),
        ("num_key_value_heads", json!(0), "key/value heads"),
        ("num_hidden_layers", json!(0), "layers"),
        ("num_hidden_layers", json!(u64::MAX), "layers"),
        ("hidden_size", json!(1u64 << 60), "hidden size"),
        ("intermediate_size", json!(0), "intermediate size"),
        ("vocab_size", json!(u64::MAX), "vocab"),
        ("vocab_size", Json::Null, "vocab_size"),
        ("head_dim", json!(7), "rotary"),
        ("rms_norm_eps", json!(-1), "epsilon"),
        ("rope_theta", json!(0), "rope base"),
        ("rope_scaling", json!({"rope_type": "linear"}), "factor"),
        ("rope_scaling", json!({"rope_type": "linear", "factor": 0}), "positive"),
        ("rope_scaling", json!([1]), "object"),
        ("hidden_act", json!("mish"), "mish"),
    ] {
        let mut config = good.clone();
        config[field] = value.clone();
        let error = DecoderConfig::from_json(&config.to_string()).expect_err(&format!("{field} = {value}"));
        assert!(error.to_string().contains(wanted), "{field} = {value}: {error}");
    }
    for text in ["", "[]", "{", "{}", "null"] {
        DecoderConfig::from_json(text).expect_err(text);
    }
}

#[test]
fn unknown_models_are_named_with_the_known_ones() {
    for (config, wanted) in [
        (json!({"model_type": "mamba"}), ["mamba", "qwen2"]),
        (json!({"model_type": "falcon", "alibi": true}), ["falcon", "alibi"]),
    ] {
        let error = DecoderConfig::from_json(&config.to_string()).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)));
        assert!(wanted.iter().all(|w| error.to_string().contains(w)), "{error}");
    }
}

#[test]
fn weights_that_do_not_fit_the_config_are_errors_that_name_them() {
    let mut config = golden_json("models/llama.config.json");
    config["num_hidden_layers"] = json!(3);
    let weights = Weights::from_checkpoint(open(&golden("models/llama.safetensors")), &Device::cpu());
    let config_of = |json: &Json| DecoderConfig::from_json(&json.to_string()).unwrap();
    let error = load(config_of(&config), &weights).err().unwrap().to_string();
    assert!(error.contains("model.layers.2.") && error.contains("is not in"), "{error}");
    config["intermediate_size"] = json!(64);
    let error = load(config_of(&config), &weights).err().unwrap().to_string();
    assert!(error.contains("gate_proj") && error.contains("[48, 32]") && error.contains("[64, 32]"), "{error}");
}

#[test]
fn loading_reports_and_stops_when_asked() {
    let config = DecoderConfig::from_json(&golden_json("models/llama.config.json").to_string()).unwrap();
    let weights = Weights::from_checkpoint(open(&golden("models/llama.safetensors")), &Device::cpu());
    let mut seen = Vec::new();
    let mut watch = |p: votive::models::LoadProgress<'_>| {
        seen.push((p.loaded_bytes, p.total_bytes));
        ControlFlow::Continue(())
    };
    block_on(Decoder::load(config.clone(), &weights, &mut watch)).unwrap();
    assert!(seen.windows(2).all(|w| w[0].0 <= w[1].0), "{seen:?}");
    assert_eq!(seen.last().map(|p| p.0), seen.last().map(|p| p.1), "all bytes are loaded at the end");
    let stopped = block_on(Decoder::load(config, &weights, &mut |_| ControlFlow::Break(())));
    assert!(matches!(stopped, Err(Error::Aborted)));
}

#[test]
fn tokens_outside_the_vocabulary_are_errors() {
    let model = case("qwen2").model;
    let mut cache = model.new_cache();
    assert!(model.forward(&[80], &mut cache).unwrap_err().to_string().contains("token 80"));
    assert!(model.forward(&[], &mut cache).is_err());
    assert!(model.forward(&[79], &mut cache).is_ok());
}
