//! A tokenizer.json, used if it is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use votive::text::Tokenizer;

fuzz_target!(|data: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_json(data) {
        let ids = tokenizer.encode("Hello, wörld 🙂\n", true).unwrap_or_default();
        let _ = tokenizer.decode(&ids, false);
        let _ = tokenizer.decode(&[0, 1, u32::MAX], true);
    }
});
