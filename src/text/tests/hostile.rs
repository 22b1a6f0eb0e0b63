//! Files that lie: every one an error or a tokenizer that works, never a panic.

use super::*;

#[test]
fn lying_gguf_metadata() {
    let golden = golden();
    let bpe = || small(&golden["small_bpe"], "gpt2", "gpt-2");
    let spm = || small(&golden["small_spm"], "llama", "default");
    let with = |mut m: Metadata, key: &str, value: Option<Meta>| {
        match value {
            Some(value) => m.0.insert(format!("tokenizer.ggml.{key}"), value),
            None => m.0.shift_remove(&format!("tokenizer.ggml.{key}")),
        };
        m
    };
    let strings = |s: &[&str]| Some(Meta::Strings(s.iter().map(|s| (*s).to_owned()).collect()));
    let text = |s: &str| Some(Meta::String(s.to_owned()));
    for (metadata, kind, message) in [
        (Metadata::default(), "format", "tokenizer.ggml.model is missing"),
        (with(bpe(), "model", text("t5")), "unsupported", "\"t5\""),
        (with(bpe(), "model", text("bert")), "unsupported", "\"bert\""),
        (with(bpe(), "pre", text("new-model")), "unsupported", "\"new-model\""),
        (with(bpe(), "tokens", None), "format", "tokenizer.ggml.tokens is missing"),
        (with(bpe(), "tokens", strings(&[])), "format", "900 tokenizer.ggml.token_type for 0 tokens"),
        (with(with(bpe(), "token_type", None), "tokens", strings(&[])), "format", "vocabulary of 0 tokens"),
        (with(bpe(), "tokens", Some(Meta::Ints(vec![1]))), "format", "no array of strings"),
        (with(bpe(), "tokens", strings(&["a"])), "format", "token_type for 1 tokens"),
        (with(bpe(), "merges", None), "format", "tokenizer.ggml.merges is missing"),
        (with(bpe(), "merges", strings(&["a zzzz"])), "format", "\"zzzz\" is not in the vocabulary"),
        (with(bpe(), "merges", strings(&["nospace"])), "format", "no space"),
        (with(bpe(), "merges", strings(&["b 8"])), "format", "\"b8\" is not in the vocabulary"),
        (with(bpe(), "token_type", Some(Meta::Ints(vec![1; 3]))), "format", "3 tokenizer.ggml.token_type"),
        (with(bpe(), "eos_token_id", Some(Meta::U32(90_000))), "format", "eos_token_id is 90000"),
        (with(bpe(), "bos_token_id", Some(Meta::U32(u32::MAX))), "format", "bos_token_id"),
        (with(bpe(), "eot_token_id", Some(Meta::U64(1 << 40))), "format", "eot_token_id"),
        (with(spm(), "scores", None), "format", "tokenizer.ggml.scores is missing"),
        (with(spm(), "scores", Some(Meta::F32s(vec![0.0; 7]))), "format", "7 tokenizer.ggml.scores"),
        (with(spm(), "unknown_token_id", Some(Meta::U32(90_000))), "format", "unknown_token_id"),
    ] {
        let error = Tokenizer::from_gguf(&metadata).err().unwrap();
        assert!(error.kind() == kind && error.to_string().contains(message), "{error}");
    }
}

#[test]
fn strange_vocabularies_still_work() {
    let golden = golden();
    let tokens = |tokens: &[&str], types: &[i64]| {
        metadata([
            ("tokenizer.ggml.model", Meta::String("llama".into())),
            ("tokenizer.ggml.tokens", Meta::Strings(tokens.iter().map(|t| (*t).to_owned()).collect())),
            ("tokenizer.ggml.token_type", Meta::Ints(types.to_vec())),
            ("tokenizer.ggml.scores", Meta::F32s(vec![f32::NAN; tokens.len()])),
        ])
    };
    // Duplicates, empty tokens, unknown kinds, NaN scores.
    let odd = Tokenizer::from_gguf(&tokens(&["", "", "a", "a", "aa", "é", "▁"], &[3, 4, 1, -5, 99, 4, 1])).unwrap();
    assert_eq!(odd.encode("aaaé", false).unwrap(), [6, 4, 2, 5]);
    assert_eq!(odd.decode(&[0, 1, 2, 700, u32::MAX, 5], false).unwrap(), "aé");
    // No byte tokens and no unknown token: the text cannot be said.
    assert_eq!(odd.encode("b", false).unwrap_err().kind(), "text");
    assert!(!odd.is_special(700) && odd.id_to_token(700).is_none());
    // Random kinds of tokens over a real vocabulary.
    let mut rng = Rng::new(8);
    for kind in ["small_bpe", "small_spm"] {
        for _ in 0..20 {
            let model = if kind == "small_bpe" { "gpt2" } else { "llama" };
            let mut metadata = small(&golden[kind], model, "llama-bpe");
            if let Some(Meta::Ints(types)) = metadata.0.get_mut("tokenizer.ggml.token_type") {
                types.iter_mut().for_each(|t| *t = (rng.next_u64() % 9) as i64 - 1);
            }
            let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
            let _ = tokenizer.encode(&random_text(&mut rng), true);
        }
    }
}

#[test]
fn random_tokenizer_json() {
    let mut rng = Rng::new(9);
    for _ in 0..300 {
        let bytes: Vec<u8> = (0..rng.next_u64() % 200).map(|_| rng.next_u64() as u8).collect();
        assert_eq!(Tokenizer::from_json(&bytes).err().unwrap().kind(), "format");
    }
    let whole = small_json().to_string().into_bytes();
    for _ in 0..100 {
        let cut = (rng.next_u64() % whole.len() as u64) as usize;
        assert!(Tokenizer::from_json(&whole[..cut]).is_err());
    }
    // Two on which the crate underneath would panic.
    let broken_decoder = br#"{"version":"1.0","decoder":{"type":"ByteLevel","use_regex"t: true},"model":{}}"#;
    assert_eq!(Tokenizer::from_json(broken_decoder).err().unwrap().kind(), "format");
    for table in ["", "!", "AAAA", "/////w=="] {
        let mut json = small_json();
        json["normalizer"] = json!({"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": table}
        ]});
        drop(Tokenizer::from_json(json.to_string().as_bytes()));
    }
    // One value of the structure replaced by another: an error, or a tokenizer that does not panic.
    let odd = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!("x"),
        json!([]),
        json!({}),
        json!([["a", "b"]]),
        json!({"a": 5_000_000_000_u64}),
    ];
    let keys = [
        "version",
        "truncation",
        "padding",
        "added_tokens",
        "normalizer",
        "pre_tokenizer",
        "post_processor",
        "decoder",
        "model",
    ];
    let model_keys = ["type", "vocab", "merges", "dropout", "unk_token", "byte_fallback"];
    for value in &odd {
        let change = |edit: &dyn Fn(&mut Value)| {
            let mut json = small_json();
            edit(&mut json);
            if let Ok(tokenizer) = Tokenizer::from_json(json.to_string().as_bytes()) {
                let ids = tokenizer.encode("Hello, wörld <|im_end|>", true).unwrap_or_default();
                let _ = tokenizer.decode(&ids, true);
                let mut stream = DetokenizeStream::new();
                ids.iter().for_each(|&id| drop(stream.push(&tokenizer, id)));
            }
        };
        keys.iter().for_each(|&key| change(&|json| json[key] = value.clone()));
        model_keys.iter().for_each(|&key| change(&|json| json["model"][key] = value.clone()));
        change(&|json| json["added_tokens"][1]["id"] = value.clone());
        change(&|json| json["added_tokens"][1]["content"] = value.clone());
    }
}
