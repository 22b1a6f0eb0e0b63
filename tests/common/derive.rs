//! Other forms of the fetched models, made once from the published files with this crate's own quantizer and writers:
//! `$VOTIVE_MODELS/derived/`. Weights equal the published file's dequantized weights (rounded to the new type).

use super::{SMOLLM2, model, models_dir, open};
use pollster::block_on;
use serde_json::{Value as Json, json};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use votive::{
    DType,
    format::{Checkpoint, Metadata, TensorInfo, TensorSpec, Value, gguf, safetensors},
    quant,
};

/// One derivation at a time within a test binary; between binaries the rename decides.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes `path` by `make` on a temporary name beside it, unless it is there.
fn once(path: PathBuf, make: impl FnOnce(&Path)) -> PathBuf {
    let _guard = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        make(&temporary);
        // A folder that another test binary has put there meanwhile stays; it holds the same.
        if let Err(error) = std::fs::rename(&temporary, &path) {
            assert!(path.exists(), "{}: {error}", path.display());
        }
    }
    path
}

/// The tensor's values.
pub fn values(checkpoint: &Checkpoint, info: &TensorInfo) -> Vec<f32> {
    let bytes = block_on(checkpoint.read(&info.name)).unwrap();
    let mut values = vec![0.0; info.shape.elements()];
    quant::dequantize(info.dtype, bytes.bytes(), &mut values).unwrap();
    values
}

/// Values as bytes of `dtype`.
pub fn encode(values: &[f32], dtype: DType) -> Vec<u8> {
    let mut bytes = vec![0; dtype.bytes_for(values.len()).unwrap()];
    quant::quantize(dtype, values, &mut bytes).unwrap();
    bytes
}

/// `dtype`, or for rows that are no whole blocks of it the format that llama.cpp falls back to.
fn fitting(dtype: DType, row: usize) -> DType {
    if row.is_multiple_of(dtype.block_len()) {
        return dtype;
    }
    match dtype {
        DType::Q2_K | DType::Q3_K => DType::Q4_0,
        DType::Q4_K => DType::Q5_0,
        DType::Q5_K => DType::Q5_1,
        _ => DType::Q8_0,
    }
}

/// SmolLM2 as a GGUF file whose matrices are all `dtype` (or what fits their rows).
pub fn smollm2_gguf(dtype: DType) -> PathBuf {
    let name = dtype.name().to_uppercase();
    let path = models_dir().join(format!("derived/smollm2-135m-instruct/SmolLM2-135M-Instruct.{name}.gguf"));
    once(path, |path| {
        let source = open(&model(SMOLLM2));
        let specs: Vec<_> = source
            .tensors()
            .map(|t| {
                let dims = t.shape.dims();
                let dtype = if dims.len() < 2 { t.dtype } else { fitting(dtype, dims[dims.len() - 1]) };
                TensorSpec { name: t.name.clone(), dtype, shape: t.shape.clone() }
            })
            .collect();
        let out = BufWriter::new(File::create(path).unwrap());
        let mut writer = gguf::writer(out, "derived", source.metadata().unwrap(), &specs).unwrap();
        for (info, spec) in source.tensors().zip(&specs) {
            writer.write(&info.name, &encode(&values(&source, info), spec.dtype)).unwrap();
        }
        writer.finish().unwrap();
    })
}

/// SmolLM2 in Hugging Face's layout, f16: a folder of model.safetensors, config.json, tokenizer.json, tokenizer_config.json.
pub fn smollm2_hf() -> PathBuf {
    once(models_dir().join("derived/smollm2-135m-instruct-hf"), |folder| {
        std::fs::create_dir_all(folder).unwrap();
        let source = open(&model(SMOLLM2));
        let metadata = source.metadata().unwrap();
        let uint = |key: &str| metadata.uint(&format!("llama.{key}")).unwrap() as usize;
        let (heads, kv_heads) = (uint("attention.head_count"), uint("attention.head_count_kv"));
        let specs: Vec<_> = source
            .tensors()
            .map(|t| TensorSpec { name: hf_name(&t.name), dtype: DType::F16, shape: t.shape.clone() })
            .collect();
        let out = BufWriter::new(File::create(folder.join("model.safetensors")).unwrap());
        let mut writer = safetensors::writer(out, "derived", &[("format".into(), "pt".into())], &specs).unwrap();
        for (info, spec) in source.tensors().zip(&specs) {
            let mut values = values(&source, info);
            for (part, heads) in [(".attn_q.", heads), (".attn_k.", kv_heads)] {
                if info.name.contains(part) {
                    values = half_from_interleaved(&values, info.shape.dims()[1], heads);
                }
            }
            writer.write(&spec.name, &encode(&values, DType::F16)).unwrap();
        }
        writer.finish().unwrap();
        let write = |name: &str, json: Json| std::fs::write(folder.join(name), json.to_string()).unwrap();
        write("config.json", hf_config(metadata));
        write("tokenizer.json", hf_tokenizer(metadata));
        let tokens = metadata.strings("tokenizer.ggml.tokens").unwrap();
        let special = |key: &str| &tokens[metadata.uint(&format!("tokenizer.ggml.{key}_token_id")).unwrap() as usize];
        write(
            "tokenizer_config.json",
            json!({"bos_token": special("bos"), "eos_token": special("eos"), "tokenizer_class": "GPT2Tokenizer",
                   "chat_template": metadata.string("tokenizer.chat_template").unwrap()}),
        );
    })
}

/// Whisper tiny.en as a whisper.cpp file, whose matrices are `dtype`: what its converter and its quantizer write.
pub fn whisper_cpp(dtype: DType) -> PathBuf {
    let name = dtype.name();
    once(models_dir().join(format!("derived/whisper-tiny.en/ggml-tiny.en-{name}.bin")), |path| {
        let json = |file: &str| -> Json {
            serde_json::from_slice(&std::fs::read(model(&format!("whisper-tiny.en/{file}"))).unwrap()).unwrap()
        };
        let (config, tokenizer) = (json("config.json"), json("tokenizer.json"));
        let mut out = BufWriter::new(File::create(path).unwrap());
        let numbers = |out: &mut BufWriter<File>, numbers: &[u64]| {
            numbers.iter().for_each(|&n| out.write_all(&(n as u32).to_le_bytes()).unwrap());
        };
        let size = |key: &str| config[key].as_u64().unwrap();
        numbers(&mut out, &[0x6767_6d6c, size("vocab_size"), size("max_source_positions"), size("d_model")]);
        numbers(&mut out, &[size("encoder_attention_heads"), size("encoder_layers"), size("max_target_positions")]);
        numbers(&mut out, &[size("d_model"), size("decoder_attention_heads"), size("decoder_layers")]);
        numbers(&mut out, &[size("num_mel_bins"), 1, size("num_mel_bins"), 201]);
        for factor in votive::audio::mel_filters(80) {
            out.write_all(&factor.to_le_bytes()).unwrap();
        }
        let special: Vec<u64> =
            tokenizer["added_tokens"].as_array().unwrap().iter().map(|t| t["id"].as_u64().unwrap()).collect();
        let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
        let mut tokens: Vec<(u64, &String)> = vocabulary.iter().map(|(t, id)| (id.as_u64().unwrap(), t)).collect();
        tokens.retain(|(id, _)| !special.contains(id));
        tokens.sort();
        let bytes_of: std::collections::HashMap<char, u8> = byte_alphabet().into_iter().zip(0..=255).collect();
        numbers(&mut out, &[tokens.len() as u64]);
        for (_, token) in tokens {
            let bytes: Vec<u8> = token.chars().map(|c| bytes_of[&c]).collect();
            numbers(&mut out, &[bytes.len() as u64]);
            out.write_all(&bytes).unwrap();
        }
        let source = open(&model("whisper-tiny.en/model.safetensors"));
        for info in source.tensors().filter(|info| info.name != "proj_out.weight") {
            let name = openai_name(&info.name);
            let mut dims: Vec<u64> = info.shape.dims().iter().map(|&d| d as u64).collect();
            let dtype = match dims.len() {
                _ if name.ends_with("positional_embedding") => DType::F32,
                1 => DType::F32,
                2 => dtype,
                _ => DType::F16,
            };
            if name.ends_with("conv1.bias") || name.ends_with("conv2.bias") {
                dims.push(1);
            }
            dims.reverse();
            numbers(&mut out, &[dims.len() as u64, name.len() as u64, u64::from(dtype.gguf_id().unwrap())]);
            numbers(&mut out, &dims);
            out.write_all(name.as_bytes()).unwrap();
            out.write_all(&encode(&values(&source, info), dtype)).unwrap();
        }
        out.flush().unwrap();
    })
}

/// Whisper tiny.en as a GGUF file with Hugging Face's names, whose matrices are `dtype`, for the side files that lie beside
/// the published weights.
pub fn whisper_gguf(dtype: DType) -> PathBuf {
    let name = dtype.name();
    once(models_dir().join(format!("derived/whisper-tiny.en/model-{name}.gguf")), |path| {
        let source = open(&model("whisper-tiny.en/model.safetensors"));
        let spec = |t: &TensorInfo| {
            let matrix = t.shape.dims().len() == 2 && !t.name.contains("embed_positions");
            TensorSpec { name: t.name.clone(), dtype: if matrix { dtype } else { DType::F32 }, shape: t.shape.clone() }
        };
        let specs: Vec<_> = source.tensors().map(spec).collect();
        let mut metadata = Metadata::default();
        metadata.0.insert("general.name".into(), Value::String("Whisper tiny.en".into()));
        let out = BufWriter::new(File::create(path).unwrap());
        let mut writer = gguf::writer(out, "derived", &metadata, &specs).unwrap();
        for (info, spec) in source.tensors().zip(&specs) {
            writer.write(&info.name, &encode(&values(&source, info), spec.dtype)).unwrap();
        }
        writer.finish().unwrap();
    })
}

/// The letters that stand for bytes in GPT-2's vocabularies: their own where they are printed, others from 256 on.
fn byte_alphabet() -> Vec<char> {
    let mut others = 256..;
    let printed = |b: u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let letter = |b| if printed(b) { Some(b) } else { others.next() };
    (0..256).map(letter).map(|code| char::from_u32(code.unwrap()).unwrap()).collect()
}

/// OpenAI's name for a part of a Whisper.
fn openai_name(name: &str) -> String {
    [
        ("model.", ""),
        ("encoder_attn_layer_norm", "cross_attn_ln"),
        ("self_attn_layer_norm", "attn_ln"),
        ("final_layer_norm", "mlp_ln"),
        ("self_attn.", "attn."),
        ("encoder_attn.", "cross_attn."),
        ("q_proj", "query"),
        ("k_proj", "key"),
        ("v_proj", "value"),
        ("out_proj", "out"),
        ("fc1", "mlp.0"),
        ("fc2", "mlp.2"),
        (".layers.", ".blocks."),
        ("encoder.layer_norm", "encoder.ln_post"),
        ("decoder.layer_norm", "decoder.ln"),
        ("embed_positions.weight", "positional_embedding"),
        ("embed_tokens", "token_embedding"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Rows of q or k: llama-architecture GGUF files keep pairs that rotate together side by side, Hugging Face keeps them
/// half a head apart. `row` is the length of a row (1 for biases).
pub fn half_from_interleaved(values: &[f32], row: usize, heads: usize) -> Vec<f32> {
    permute_rows(values, row, heads, |i, half| if i < half { 2 * i } else { 2 * (i - half) + 1 })
}

/// The other way.
pub fn interleaved_from_half(values: &[f32], row: usize, heads: usize) -> Vec<f32> {
    permute_rows(values, row, heads, |i, half| i / 2 + if i % 2 == 0 { 0 } else { half })
}

fn permute_rows(values: &[f32], row: usize, heads: usize, from: impl Fn(usize, usize) -> usize) -> Vec<f32> {
    let size = values.len() / row / heads;
    let rows = (0..heads).flat_map(|head| (0..size).map(move |i| (head, i)));
    rows.flat_map(|(head, i)| {
        let source = (head * size + from(i, size / 2)) * row;
        values[source..source + row].iter().copied()
    })
    .collect()
}

fn hf_name(name: &str) -> String {
    let Some((layer, part)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        return match name {
            "token_embd.weight" => "model.embed_tokens.weight".into(),
            "output_norm.weight" => "model.norm.weight".into(),
            other => panic!("no Hugging Face name for {other}"),
        };
    };
    let part = match part.strip_suffix(".weight").unwrap() {
        "attn_norm" => "input_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        other => panic!("no Hugging Face name for {other}"),
    };
    format!("model.layers.{layer}.{part}.weight")
}

fn hf_config(metadata: &Metadata) -> Json {
    let uint = |key: &str| metadata.uint(key).unwrap();
    // f32 metadata as the decimal number that was meant.
    let float = |key: &str| format!("{:.5e}", metadata.float(key).unwrap()).parse::<f64>().unwrap();
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "torch_dtype": "float16",
        "hidden_size": uint("llama.embedding_length"), "intermediate_size": uint("llama.feed_forward_length"),
        "num_hidden_layers": uint("llama.block_count"), "num_attention_heads": uint("llama.attention.head_count"),
        "num_key_value_heads": uint("llama.attention.head_count_kv"), "vocab_size": uint("llama.vocab_size"),
        "max_position_embeddings": uint("llama.context_length"), "rope_theta": float("llama.rope.freq_base"),
        "rms_norm_eps": float("llama.attention.layer_norm_rms_epsilon"), "tie_word_embeddings": true,
        "bos_token_id": uint("tokenizer.ggml.bos_token_id"), "eos_token_id": uint("tokenizer.ggml.eos_token_id"),
    })
}

/// The byte-level BPE tokenizer of a GGUF file as tokenizer.json, with SmolLM2's pre-tokenizer.
fn hf_tokenizer(metadata: &Metadata) -> Json {
    let tokens = metadata.strings("tokenizer.ggml.tokens").unwrap();
    let kinds = metadata.ints("tokenizer.ggml.token_type").unwrap();
    const CONTROL: i64 = 3;
    let vocab: serde_json::Map<_, _> = tokens.iter().enumerate().map(|(id, t)| (t.clone(), id.into())).collect();
    let added: Vec<_> = (0..tokens.len())
        .filter(|&id| kinds[id] == CONTROL)
        .map(|id| {
            json!({"id": id, "content": tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab,
                  "merges": metadata.strings("tokenizer.ggml.merges").unwrap()},
    })
}

/// A GGUF file in memory.
pub fn gguf_bytes(pairs: Vec<(String, Value)>, tensors: &[(TensorSpec, Vec<f32>)]) -> Vec<u8> {
    let metadata = Metadata(pairs.into_iter().collect());
    let specs: Vec<_> = tensors.iter().map(|t| t.0.clone()).collect();
    let out = std::io::Cursor::new(Vec::new());
    let mut writer = gguf::writer(out, "in memory", &metadata, &specs).unwrap();
    for (spec, values) in tensors {
        writer.write(&spec.name, &encode(values, spec.dtype)).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
