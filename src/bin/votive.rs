//! The command line: `votive generate`, `chat`, `inspect`, `quantize`, `bench`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
