//! `cargo xtask …`: everything that is done with this repository besides plain cargo. It builds the npm package,
//! fetches models, serves the demo, runs every test and measures. Each command sets up what it needs, says so, and does
//! nothing twice.

mod bench;
mod bench_kernels;
mod bench_peers;
mod bench_speech;
mod bench_tensor;
mod demo;
mod fetch;
mod files;
mod models;
mod modules;
mod package;
mod process;
mod server;
mod size;
mod suite;
mod system;
mod whisper;
mod workspace;

use clap::{Parser, Subcommand};
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Builds, serves, tests and measures Votive")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the npm package into pkg-template/dist: WebAssembly, its JavaScript glue, TypeScript
    Build(package::Args),
    /// Download the models of the demo and of the tests (sha256-checked)
    Fetch(fetch::Args),
    /// Build, fetch the demo's model, serve the demo pages and open them in a browser
    Demo(demo::Args),
    /// Run every check and test: format, lints, documentation, native, WebAssembly, browser
    Test(suite::Args),
    /// Measure: natively and in Chromium, beside other engines if wanted
    Bench(bench::Args),
}

fn main() {
    let cli = Cli::parse();
    let result = Workspace::find().and_then(|workspace| match cli.command {
        Command::Build(args) => package::run(&workspace, &args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Demo(args) => demo::run(&workspace, &args),
        Command::Test(args) => suite::run(&workspace, &args),
        Command::Bench(args) => bench::run(&workspace, &args),
    });
    if let Err(error) = result {
        eprintln!("\nerror: {error:#}");
        std::process::exit(1);
    }
}
