//! The ten lines of the README: `cargo run --release --example generate -- PATH_OR_HUB_ID [PROMPT]`.

use std::{env::args, io::Write, ops::ControlFlow::Continue};
use votive::{
    hub,
    task::{GenerateOptions, LoadOptions, Prompt, Step, TextGenerator},
};

fn main() -> votive::Result<()> {
    let name = args().nth(1).unwrap_or_else(|| "bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M".into());
    let prompt = args().nth(2).unwrap_or_else(|| "Once upon a time".into());
    let files = hub::resolve_model(&name, &mut |_| Continue(()))?;
    let model = TextGenerator::open(&files, &LoadOptions::default(), &mut |_| Continue(()))?;
    let options = GenerateOptions { max_tokens: Some(100), ..Default::default() };
    for step in model.generate(Prompt::Text(prompt), &options)? {
        if let Step::Token { text, .. } | Step::Done { text, .. } = step? {
            print!("{text}");
            std::io::stdout().flush().ok();
        }
    }
    Ok(())
}
