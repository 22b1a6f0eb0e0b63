//! Tokenizers against llama.cpp, Hugging Face's tokenizers and sentencepiece
//! (`tests/generators/text_tokenizers.py`).

use super::*;
use crate::text::pretokenizer::{PreTokenizer, preset};

/// Compares encodings of all texts and lists every difference.
fn check(tokenizer: &Tokenizer, texts: &[String], expected: &Value, add_special: bool, what: &str) {
    let mut wrong = Vec::new();
    for (text, expected) in texts.iter().zip(expected.as_array().unwrap()) {
        let got = tokenizer.encode(text, add_special).unwrap();
        if !text.is_empty() && got != ids(expected) {
            let write = |ids: &[u32]| ids.iter().map(|&i| tokenizer.id_to_token(i)).collect::<Vec<_>>();
            wrong.push(format!("{text:?}\n  got  {:?}\n  want {:?}", write(&got), write(&ids(expected))));
        }
    }
    assert!(wrong.is_empty(), "{what}: {} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn smollm2_as_llama_cpp_and_transformers() {
    let golden = golden();
    let (tokenizer, texts) = (smollm2(), strings(&golden["texts"]));
    check(&tokenizer, &texts, &golden["smollm2_llama_cpp"], true, "llama.cpp");
    check(&tokenizer, &texts, &golden["smollm2_hf"], true, "tokenizers");
    for (decoded, i) in strings(&golden["smollm2_hf_decoded"]).iter().zip(golden["smollm2_hf"].as_array().unwrap()) {
        assert_eq!(&tokenizer.decode(&ids(i), true).unwrap(), decoded);
    }
    assert_eq!(tokenizer.encode("", true).unwrap(), [0u32; 0]);
    assert_eq!(tokenizer.eos_id(), Some(2));
    assert_eq!(tokenizer.eos_ids(), [2, 0]); // <|im_end|>, <|endoftext|>
}

#[test]
fn gemma3_as_llama_cpp() {
    let golden = golden();
    let (tokenizer, texts) = (gemma3(), strings(&golden["texts"]));
    check(&tokenizer, &texts, &golden["gemma3_llama_cpp"], true, "llama.cpp");
    assert_eq!(tokenizer.encode("", true).unwrap(), [2]);
    let eos = ["<eos>", "<end_of_turn>"].map(|t| tokenizer.token_id(t).unwrap());
    assert_eq!(tokenizer.eos_ids(), eos);
    for text in &texts {
        // Byte fallback makes every text come back; special tokens are hidden, so texts with them are left out.
        let ids = tokenizer.encode(text, true).unwrap();
        if !text.contains('▁') && !ids[1..].iter().any(|&i| tokenizer.is_special(i)) {
            assert_eq!(&tokenizer.decode(&ids, true).unwrap(), text);
        }
    }
}

#[test]
fn words_as_onigurumas() {
    let golden = golden();
    let texts = strings(&golden["texts"]);
    for (name, expected) in golden["words"].as_object().unwrap() {
        let words = PreTokenizer::new(preset(name).unwrap().expressions).unwrap();
        for (text, expected) in texts.iter().zip(expected.as_array().unwrap()) {
            let mut got = Vec::new();
            words
                .words(text, &mut |w| {
                    got.push(w);
                    Ok(())
                })
                .unwrap();
            assert_eq!(got, strings(expected), "{name}: {text:?}");
        }
    }
}

#[test]
fn every_pre_tokenizer_as_llama_cpp() {
    let golden = golden();
    let texts = strings(&golden["texts"]);
    for (name, expected) in golden["small_bpe"]["ids"].as_object().unwrap() {
        let tokenizer = Tokenizer::from_gguf(&small(&golden["small_bpe"], "gpt2", name)).unwrap();
        check(&tokenizer, &texts, expected, true, name);
    }
}

#[test]
fn sentencepiece_as_its_makers_and_llama_cpp() {
    let golden = golden();
    let model = &golden["small_spm"];
    let mut texts = strings(&golden["texts"]);
    let mut metadata = small(model, "llama", "default");
    let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
    let plain = strings(&model["sentencepiece_texts"]);
    check(&tokenizer, &plain, &model["sentencepiece"], false, "sentencepiece");
    metadata.0.insert("tokenizer.ggml.add_space_prefix".into(), Meta::Bool(false));
    metadata.0.insert("tokenizer.ggml.add_bos_token".into(), Meta::Bool(false));
    let bare = Tokenizer::from_gguf(&metadata).unwrap();
    check(&bare, &texts, &model["llama_cpp_bare"], true, "llama.cpp, no space prefix");
    texts.push("[INST] hi [/INST] there [INST]x".into());
    check(&tokenizer, &texts, &model["llama_cpp"], true, "llama.cpp");
    for (i, decoded) in model["sentencepiece"].as_array().unwrap().iter().zip(strings(&model["sentencepiece_decoded"]))
    {
        assert_eq!(tokenizer.decode(&ids(i), true).unwrap(), decoded);
    }
}

#[test]
fn tokenizer_json_and_gguf_agree() {
    let golden = golden();
    let mut json = Tokenizer::from_json(small_json().to_string().as_bytes()).unwrap();
    let gguf = Tokenizer::from_gguf(&small(&golden["small_bpe"], "gpt2", "gpt-2")).unwrap();
    check(&json, &strings(&golden["texts"]), &golden["small_bpe"]["ids"]["gpt-2"], true, "tokenizer.json");
    let mut rng = Rng::new(1);
    for _ in 0..300 {
        let text = random_text(&mut rng);
        let ids = gguf.encode(&text, false).unwrap();
        assert_eq!(json.encode(&text, false).unwrap(), ids, "{text:?}");
        for skip_special in [false, true] {
            let decoded = gguf.decode(&ids, skip_special).unwrap();
            assert_eq!(json.decode(&ids, skip_special).unwrap(), decoded);
            if !skip_special {
                assert_eq!(decoded, text); // every byte is in this vocabulary: nothing may get lost
            }
        }
    }
    assert_eq!(json.vocab_size(), gguf.vocab_size());
    assert_eq!(json.token_id("<|im_end|>"), Some(3));
    assert_eq!(json.id_to_token(3).as_deref(), Some("<|im_end|>"));
    assert!(json.is_special(3) && !json.is_special(50) && json.id_to_token(1 << 30).is_none());
    assert_eq!((json.bos_id(), json.eos_id(), json.eos_ids()), (None, None, &[3][..]));
    json.apply_config(r#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>"}"#).unwrap();
    assert_eq!((json.bos_id(), json.eos_id(), json.eos_ids()), (Some(0), Some(1), &[3, 1][..]));
}

#[test]
fn random_text_comes_back_from_sentencepiece() {
    let golden = golden();
    for (prefix, space) in [(true, ""), (false, "")] {
        let mut metadata = small(&golden["small_spm"], "llama", "default");
        metadata.0.insert("tokenizer.ggml.add_space_prefix".into(), Meta::Bool(prefix));
        let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
        let mut rng = Rng::new(2);
        for _ in 0..300 {
            let text = random_text(&mut rng).replace('▁', " ");
            let ids = tokenizer.encode(&text, true).unwrap();
            assert_eq!(tokenizer.decode(&ids, true).unwrap(), format!("{space}{text}"));
        }
    }
}

#[test]
fn long_text_is_no_trouble() {
    // A word of 200,000 letters, and as many spaces: merging must not be quadratic, the word cutter not give up.
    let golden = golden();
    let bpe = Tokenizer::from_gguf(&small(&golden["small_bpe"], "gpt2", "llama-bpe")).unwrap();
    let spm = Tokenizer::from_gguf(&small(&golden["small_spm"], "llama", "default")).unwrap();
    for text in ["ab".repeat(100_000), " ".repeat(200_000), format!("{}x", " ".repeat(200_000)), "\n ".repeat(100_000)]
    {
        for tokenizer in [&bpe, &spm] {
            let ids = tokenizer.encode(&text, false).unwrap();
            assert!(ids.len() > 1000 && tokenizer.decode(&ids, true).unwrap() == text);
        }
    }
}

#[test]
fn phi3_swallows_space_after_special_tokens() {
    let golden = golden();
    let mut metadata = small(&golden["small_spm"], "llama", "default");
    metadata.0.insert("general.architecture".into(), Meta::String("phi3".into()));
    let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
    assert_eq!(tokenizer.encode("[INST]\n hi", false).unwrap(), tokenizer.encode("[INST]hi", false).unwrap());
}
