//! Streaming detokenisation and stop strings: whatever the pieces, the whole is the same.

use super::*;

/// Pushes ids one by one; the pieces together must be what `decode` makes of all.
fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut stream = DetokenizeStream::new();
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(tokenizer, id).unwrap()).collect();
    pieces.push(stream.finish(tokenizer).unwrap());
    assert_eq!(pieces.concat(), tokenizer.decode(ids, true).unwrap(), "{ids:?}");
    pieces
}

/// A tokenizer.json of the SentencePiece kind, as Llama 2's: byte fallback, a leading space put and taken away.
fn byte_fallback_json() -> Vec<u8> {
    let mut vocab = serde_json::Map::new();
    let tokens = ["<unk>", "<s>", "</s>", "▁", "H", "i", "▁H", "▁Hi"].map(str::to_owned);
    for token in tokens.into_iter().chain((0..=255).map(|b| format!("<0x{b:02X}>"))) {
        vocab.insert(token, vocab.len().into());
    }
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true})
    };
    json!({
        "version": "1.0", "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
            "merges": ["▁ H", "▁H i"]},
    })
    .to_string()
    .into_bytes()
}

#[test]
fn pieces_are_the_whole() {
    let golden = golden();
    let word_piece = json!({
        "version": "1.0", "added_tokens": [], "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {"?": 0, "play": 1, "##ing": 2, "the": 3, ".": 4}},
    });
    let tokenizers = [
        Tokenizer::from_gguf(&small(&golden["small_bpe"], "gpt2", "llama-bpe")).unwrap(),
        Tokenizer::from_gguf(&small(&golden["small_spm"], "llama", "default")).unwrap(),
        Tokenizer::from_json(small_json().to_string().as_bytes()).unwrap(),
        Tokenizer::from_json(&byte_fallback_json()).unwrap(),
    ];
    let mut rng = Rng::new(3);
    for tokenizer in &tokenizers {
        for _ in 0..100 {
            let text = random_text(&mut rng);
            let ids = tokenizer.encode(&text, true).unwrap();
            let pieces = stream(tokenizer, &ids);
            let broken = pieces.iter().any(|p| p.contains('\u{fffd}'));
            assert_eq!(broken, text.contains('\u{fffd}'), "{text:?} {pieces:?}");
        }
    }
    let tokenizer = Tokenizer::from_json(word_piece.to_string().as_bytes()).unwrap();
    let ids = tokenizer.encode("playing the play.", false).unwrap();
    assert_eq!(ids, [1, 2, 3, 1, 4]);
    assert_eq!(stream(&tokenizer, &ids)[..4], ["play", "ing", " the", " play"]);
}

#[test]
fn random_ids_are_decoded_as_a_whole() {
    // Byte soup: the stream replaces what can become no character exactly where decoding the whole does.
    let golden = golden();
    let bpe = Tokenizer::from_gguf(&small(&golden["small_bpe"], "gpt2", "llama-bpe")).unwrap();
    let spm = Tokenizer::from_gguf(&small(&golden["small_spm"], "llama", "default")).unwrap();
    let mut rng = Rng::new(4);
    for tokenizer in [&bpe, &spm] {
        for _ in 0..300 {
            let ids: Vec<u32> = (0..rng.next_u64() % 30).map(|_| (rng.next_u64() % 910) as u32).collect();
            stream(tokenizer, &ids);
        }
    }
}

#[test]
fn a_character_is_never_split() {
    let tokenizer = Tokenizer::from_json(&byte_fallback_json()).unwrap();
    let byte = |b: u8| tokenizer.token_id(&format!("<0x{b:02X}>")).unwrap();
    let mut stream = DetokenizeStream::new();
    let mut push = |id| stream.push(&tokenizer, id).unwrap();
    assert_eq!([push(byte(0xf0)), push(byte(0x9f)), push(byte(0xa6)), push(byte(0x99))], ["", "", "", "🦙"]);
    assert_eq!([push(byte(0xe2)), push(byte(0x82))], ["", ""]);
    assert_eq!(stream.finish(&tokenizer).unwrap(), "\u{fffd}");
}

#[test]
fn the_leading_space_goes_where_encoding_put_it() {
    let tokenizer = Tokenizer::from_json(&byte_fallback_json()).unwrap();
    let id = |t: &str| tokenizer.token_id(t).unwrap();
    let first = |mut stream: DetokenizeStream| stream.push(&tokenizer, id("▁Hi")).unwrap();
    assert_eq!(first(DetokenizeStream::new()), "Hi");
    assert_eq!(first(DetokenizeStream::after(&tokenizer, Some(id("i")))), " Hi");
    assert_eq!(first(DetokenizeStream::after(&tokenizer, Some(id("<s>")))), "Hi");
    assert_eq!(first(DetokenizeStream::after(&tokenizer, None)), "Hi");
    let mut shown = DetokenizeStream::new().with_special();
    assert_eq!(shown.push(&tokenizer, id("</s>")).unwrap(), "</s>");
    assert_eq!(shown.push(&tokenizer, id("▁Hi")).unwrap(), " Hi");
}

#[test]
fn stop_strings_across_pieces() {
    let mut matcher = StopMatcher::new(["<end>", "\nUser:"]);
    let mut push = |text: &str| {
        let step = matcher.push(text);
        (step.text, step.stop)
    };
    assert_eq!(push("Hello <e"), ("Hello ".into(), None));
    assert_eq!(push("nough"), ("<enough".into(), None));
    assert_eq!(push(" é\nUs"), (" é".into(), None));
    assert_eq!(push("er: no"), (String::new(), Some(1)));
    assert_eq!(push("more"), (String::new(), Some(1)));
    assert_eq!(matcher.finish(), "");
    let mut open = StopMatcher::new(["ab"]);
    assert_eq!((open.push("xa").text, open.finish()), ("x".to_owned(), "a".to_owned()));
    let mut none = StopMatcher::new([""]);
    assert_eq!(none.push("all").text, "all");
}

#[test]
fn stop_strings_do_not_depend_on_the_pieces() {
    let mut rng = Rng::new(5);
    for _ in 0..3000 {
        let mut word = |most: u64| {
            let letters = (0..rng.next_u64() % (most + 1)).map(|_| ['a', 'b', 'é'][(rng.next_u64() % 3) as usize]);
            letters.collect::<String>()
        };
        let stops = [word(4), word(4)];
        let text = word(30);
        // The reference: the stop string that ends first, at its earliest place.
        let ends =
            stops.iter().filter(|s| !s.is_empty()).filter_map(|s| text.find(s.as_str()).map(|at| (at + s.len(), at)));
        let expected = ends.min().map_or(text.as_str(), |(_, at)| &text[..at]);
        let mut matcher = StopMatcher::new(stops.clone());
        let mut out = String::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let n = rest.char_indices().map(|(i, c)| i + c.len_utf8()).nth((rng.next_u64() % 5) as usize);
            let (piece, after) = rest.split_at(n.unwrap_or(rest.len()));
            out += &matcher.push(piece).text;
            assert!(expected.starts_with(&out), "{stops:?} {text:?}");
            rest = after;
        }
        out += &matcher.finish();
        assert_eq!(out, expected, "{stops:?} {text:?}");
    }
}
