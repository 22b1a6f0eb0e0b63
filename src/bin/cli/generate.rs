//! `votive generate`: one prompt, one answer.

use super::{
    interrupt::{self, Catch},
    model::{ModelArgs, SamplingArgs},
    output::{print, print_json},
};
use clap::Args;
use serde_json::json;
use std::io::{IsTerminal, Read};
use votive::{
    Error, Result,
    task::{Prompt, Step, default_clock},
    text::Message,
};

/// Goes on with a text, or answers it as a chat message; the text streams to standard output.
#[derive(Args)]
#[command(after_help = "\
Examples:
  votive generate --model smollm2.gguf --prompt \"Once upon a time\" --max-tokens 64
  votive generate -m owner/model-GGUF:Q4_K_M --chat --prompt \"Why is the sky blue?\" --temperature 0.7 --seed 1
  git diff | votive generate -m model.gguf --chat --system \"You write commit messages.\" --prompt -
  votive generate -m folder/with/safetensors --prompt \"2 + 2 =\" --json")]
pub struct GenerateArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The text; `-` reads it from standard input.
    #[arg(short, long, value_name = "TEXT")]
    prompt: String,
    /// Answer the prompt as a chat message, by the model's chat template.
    #[arg(long)]
    chat: bool,
    /// Go on with the prompt as it is (the default).
    #[arg(long, conflicts_with_all = ["chat", "system"])]
    raw: bool,
    /// System message; implies --chat.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Print one JSON object at the end: ids, text, why it ended, times in milliseconds.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &GenerateArgs) -> Result<()> {
    let options = args.sampling.options()?;
    let prompt = prompt(args)?;
    let start = default_clock();
    let model = args.model.load()?;
    let load_ms = default_clock() - start;
    let generation = model.generate(prompt, &options)?;
    let prompt_ids = generation.prompt_ids().to_vec();
    let (mut ids, mut text, mut first_token_ms) = (Vec::new(), String::new(), None);
    let _catch = Catch::begin();
    let mut give = |piece: &str| {
        text.push_str(piece);
        if args.json { Ok(()) } else { print(piece) }
    };
    for step in generation {
        if interrupt::asked() {
            return Err(Error::Aborted);
        }
        match step? {
            Step::Prefill { .. } => {}
            Step::Token { id, text: piece } => {
                ids.push(id);
                give(&piece)?;
                first_token_ms.get_or_insert_with(default_clock);
            }
            Step::Done { reason, text: piece, stats } => {
                give(&piece)?;
                if args.json {
                    return print_json(&json!({
                        "model": args.model.model, "promptIds": prompt_ids, "ids": ids, "text": text,
                        "finishReason": reason, "loadMs": load_ms, "firstTokenMs": first_token_ms, "stats": stats,
                        "prefillTokensPerSecond": stats.prefill_tokens_per_second(),
                        "decodeTokensPerSecond": stats.decode_tokens_per_second(),
                    }));
                }
            }
        }
    }
    if std::io::stdout().is_terminal() {
        eprintln!();
    }
    Ok(())
}

fn prompt(args: &GenerateArgs) -> Result<Prompt> {
    let mut text = args.prompt.clone();
    if text == "-" {
        text.clear();
        let io = |source| Error::Io { path: "standard input".into(), source };
        std::io::stdin().read_to_string(&mut text).map_err(io)?;
    }
    if !args.chat && args.system.is_none() {
        return Ok(Prompt::Text(text));
    }
    let system = args.system.iter().map(|s| Message::new("system", s.as_str()));
    Ok(Prompt::Messages(system.chain([Message::new("user", text)]).collect()))
}
