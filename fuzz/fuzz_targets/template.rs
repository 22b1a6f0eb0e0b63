//! A chat template, rendered if it compiles.
#![no_main]

use libfuzzer_sys::fuzz_target;
use votive::text::{ChatTemplate, Message, RenderOptions};

fuzz_target!(|source: &str| {
    if let Ok(template) = ChatTemplate::new(source, Some("<s>".into()), None) {
        let messages = [Message::new("system", "Be brief."), Message::new("user", "Hello {{ 1 }}")];
        let _ = template.render(&messages, &RenderOptions { add_generation_prompt: true, ..Default::default() });
    }
});
