//! A GGUF file, and the tokenizer and template inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use votive::text::{ChatTemplate, Tokenizer};

fuzz_target!(|data: &[u8]| {
    let Some(checkpoint) = votive_fuzz::open("fuzz.gguf", data.to_vec()) else { return };
    let Some(metadata) = checkpoint.metadata() else { return };
    if let Ok(tokenizer) = Tokenizer::from_gguf(metadata) {
        let _ = tokenizer.encode("Hello, wörld 🙂\n", true).and_then(|ids| tokenizer.decode(&ids, false));
        let _ = ChatTemplate::from_gguf(metadata, &tokenizer);
    }
});
