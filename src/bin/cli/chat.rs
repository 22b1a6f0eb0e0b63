//! `votive chat`: a conversation in the terminal.

use super::{
    interrupt::{self, Catch},
    model::{ModelArgs, SamplingArgs},
    output::print,
};
use clap::Args;
use std::io::{BufRead, IsTerminal, Write};
use votive::{
    Error, Result,
    task::{GenerateOptions, Prompt, Step, TextGenerator},
    text::Message,
};

const HELP: &str = "\
/clear   forget the conversation
/help    this list
/quit    end (or Ctrl-D)
A line that ends with \\ goes on in the next. Ctrl-C stops an answer.";

/// Chats with an instruction-tuned model. Answers go to standard output, everything else to standard error.
#[derive(Args)]
#[command(after_help = "\
Examples:
  votive chat --model smollm2-instruct.gguf
  votive chat -m owner/model-GGUF:Q4_K_M --system \"Answer in one sentence.\" --temperature 0.7
  echo \"Name three rivers.\" | votive chat -m model.gguf

In the chat: /clear forgets the conversation, /help lists commands, /quit or Ctrl-D ends, Ctrl-C stops an answer.")]
pub struct ChatArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// System message.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Runs the command.
pub fn run(args: &ChatArgs) -> Result<()> {
    let options = args.sampling.options()?;
    let model = args.model.load()?;
    let opening: Vec<Message> = args.system.iter().map(|s| Message::new("system", s.as_str())).collect();
    // A model without a template is an error now rather than after the first question.
    model.apply_chat_template(&[opening.clone(), vec![Message::new("user", "")]].concat(), true)?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if is_terminal {
        let info = model.info();
        eprintln!(
            "{} {}, context {} tokens. /help lists commands.",
            info.architecture, info.dtype, info.context_length
        );
    }
    let mut history = opening.clone();
    while let Some(line) = read_message(is_terminal)? {
        match line.trim() {
            "" => {}
            "/quit" | "/exit" => break,
            "/help" => eprintln!("{HELP}"),
            "/clear" => {
                history.clone_from(&opening);
                model.reset_cache()?;
            }
            command if is_command(command) => eprintln!("unknown command {command}; /help lists those there are"),
            text => turn(&model, &mut history, text, &options, is_terminal)?,
        }
    }
    Ok(())
}

/// `/word` and nothing else; a path or a sentence that begins with a slash is a message.
fn is_command(line: &str) -> bool {
    line.strip_prefix('/').is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_lowercase()))
}

/// One question and its answer. What is wrong with the question is said, and the conversation goes on without it.
fn turn(
    model: &TextGenerator,
    history: &mut Vec<Message>,
    text: &str,
    options: &GenerateOptions,
    is_terminal: bool,
) -> Result<()> {
    history.push(Message::new("user", text));
    let generation = match model.generate(Prompt::Messages(history.clone()), options) {
        Ok(generation) => generation,
        Err(error @ (Error::Argument { .. } | Error::Text(_))) if is_terminal => {
            history.pop();
            eprintln!("error: {error} (/clear forgets the conversation)");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let _catch = Catch::begin();
    let mut answer = String::new();
    let mut give = |piece: &str| {
        answer.push_str(piece);
        print(piece)
    };
    let mut stats = None;
    for step in generation {
        match step? {
            Step::Prefill { .. } => {}
            Step::Token { text, .. } => give(&text)?,
            Step::Done { text, stats: all, .. } => {
                give(&text)?;
                stats = Some(all);
            }
        }
        if interrupt::asked() {
            break;
        }
    }
    print("\n")?;
    match stats {
        Some(s) if is_terminal => eprintln!(
            "[{} tokens, {:.1} per second; prompt {} tokens, {} of them known]",
            s.generated_tokens,
            s.decode_tokens_per_second(),
            s.prompt_tokens,
            s.cached_tokens
        ),
        None if !is_terminal => return Err(Error::Aborted),
        None => eprintln!("[stopped]"),
        Some(_) => {}
    }
    history.push(Message::new("assistant", answer));
    Ok(())
}

/// The next message; lines that end with a backslash are joined. `None` at the end of the input.
fn read_message(is_terminal: bool) -> Result<Option<String>> {
    let io = |source| Error::Io { path: "standard input".into(), source };
    let mut message = String::new();
    loop {
        if is_terminal {
            eprint!("{}", if message.is_empty() { "> " } else { "… " });
            std::io::stderr().flush().map_err(io)?;
        }
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line).map_err(io)? == 0 {
            return Ok((!message.is_empty()).then_some(message));
        }
        let line = line.trim_end_matches(['\n', '\r']);
        match line.strip_suffix('\\') {
            Some(part) => {
                message.push_str(part);
                message.push('\n');
            }
            None => {
                message.push_str(line);
                return Ok(Some(message));
            }
        }
    }
}
