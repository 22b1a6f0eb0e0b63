//! Arguments, exit codes, and one file per command.

mod bench;
mod chat;
mod generate;
mod inspect;
mod interrupt;
mod model;
mod output;
mod quantize;
mod random;
mod transcribe;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use votive::Error;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    something failed; standard error says what
  2    the command line is wrong
  3    the model was not found or could not be downloaded
  130  interrupted";

/// Runs language and speech models on this machine: GGUF and safetensors, from a file or a Hugging Face hub.
#[derive(Parser)]
#[command(name = "votive", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(Box<generate::GenerateArgs>),
    Chat(Box<chat::ChatArgs>),
    Transcribe(Box<transcribe::TranscribeArgs>),
    Inspect(inspect::InspectArgs),
    Quantize(quantize::QuantizeArgs),
    Bench(Box<bench::BenchArgs>),
}

/// Parses the arguments, runs the command, and says on standard error what went wrong.
pub fn main() -> ExitCode {
    // The clock counts from its first use: times in the output are since the program's start.
    votive::task::default_clock();
    let result = match Cli::parse().command {
        Command::Generate(args) => generate::run(&args),
        Command::Chat(args) => chat::run(&args),
        Command::Transcribe(args) => transcribe::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    let code = match error {
        // The reader of our output has gone, as `head` does: it has what it wanted.
        Error::Io { path, source } if path == output::STDOUT && source.kind() == std::io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Error::Aborted => interrupt::EXIT_CODE,
        Error::Http { .. } => 3,
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 3,
        _ => 1,
    };
    eprintln!("error: {error}");
    ExitCode::from(code)
}
