//! `cargo xtask test`: every check and every test. All of them run, even when one fails; a table at the end says which did.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::modules::THREADS;
use crate::process::{note, npm_program, run_keeping, shown, step};
use crate::workspace::{Workspace, models_dir};
use crate::{fetch, package, system};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Run only these parts (give it several times for several)
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

/// The parts of the suite, in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// rustfmt
    Format,
    /// clippy on everything, natively and for WebAssembly
    Lint,
    /// The documentation builds without a warning
    Doc,
    /// All native tests, with the examples in the documentation
    Rust,
    /// The WebGPU backend on this machine's GPU, or on an emulation of one
    Webgpu,
    /// The npm package builds, and its WebAssembly module is within its budget
    Package,
    /// The package and the demo pages in Chromium and Node, and inside of applications made with bundlers
    Browser,
}

/// What became of one part.
struct Outcome {
    part: Part,
    /// The lines with which the test runners end.
    closing: Vec<String>,
    /// What went wrong.
    failures: Vec<String>,
    took: Duration,
}

/// Runs `cargo xtask test`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let parts = Part::value_variants().iter().filter(|part| args.only.is_empty() || args.only.contains(part));
    let outcomes: Vec<Outcome> = parts.map(|part| run_part(workspace, *part)).collect();
    for outcome in &outcomes {
        if !outcome.closing.is_empty() {
            println!("\n{}:", outcome.part.name());
            outcome.closing.iter().for_each(|line| println!("{line}"));
        }
    }
    println!("\n{:<10} {:<8} {:>8}", "part", "result", "seconds");
    for outcome in &outcomes {
        let result = if outcome.failures.is_empty() { "ok" } else { "FAILED" };
        println!("{:<10} {result:<8} {:>8.1}", outcome.part.name(), outcome.took.as_secs_f64());
        outcome.failures.iter().for_each(|failure| println!("    {failure}"));
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    if failed > 0 {
        bail!("{failed} of {} parts failed", outcomes.len());
    }
    Ok(())
}

fn run_part(workspace: &Workspace, part: Part) -> Outcome {
    println!();
    step(format!("Test: {}", part.name()));
    let start = Instant::now();
    let mut log = Log::default();
    let set_up = match part {
        Part::Format => log.check(workspace.cargo().args(["fmt", "--all", "--check"])),
        Part::Lint => lint(workspace, &mut log),
        Part::Doc => {
            let mut doc = workspace.cargo();
            doc.args(["doc", "--workspace", "--no-deps", "--exclude", "xtask-bindgen"])
                .env("RUSTDOCFLAGS", "-D warnings");
            log.check(&mut doc)
        }
        Part::Rust => rust(workspace, &mut log),
        Part::Webgpu => webgpu(workspace, &mut log),
        Part::Package => package::build(workspace).and_then(|()| package::check_budget(workspace)),
        Part::Browser => browser(workspace, &mut log),
    };
    if let Err(error) = set_up {
        log.failures.push(format!("{error:#}"));
    }
    for failure in &log.failures {
        note(format!("FAILED: {failure}"));
    }
    Outcome { part, closing: log.closing, failures: log.failures, took: start.elapsed() }
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What the runners of a part say.
#[derive(Default)]
struct Log {
    closing: Vec<String>,
    failures: Vec<String>,
}

impl Log {
    /// Runs a check or a test runner; that it fails is noted, and only that it cannot be started is an error.
    fn check(&mut self, command: &mut Command) -> Result<()> {
        let (closing, succeeded) = run_keeping(command, is_closing)?;
        self.closing.extend(closing);
        if !succeeded {
            self.failures.push(format!("`{}` failed", shown(command)));
        }
        Ok(())
    }
}

/// Whether a test runner (cargo, node, Playwright) ends with this line.
fn is_closing(line: &str) -> bool {
    let line = line.trim_start();
    let counts = |line: &str, words: &[&str]| {
        let (number, rest) = line.split_once(' ').unwrap_or_default();
        number.parse::<u32>().is_ok() && words.iter().any(|word| rest.starts_with(word))
    };
    line.starts_with("test result:")
        || ["# tests ", "# pass ", "# fail ", "ℹ tests ", "ℹ pass ", "ℹ fail "]
            .iter()
            .any(|start| line.starts_with(start))
        || counts(line, &["passed", "failed", "flaky", "skipped", "did not run"])
}

fn lint(workspace: &Workspace, log: &mut Log) -> Result<()> {
    let clippy = |arguments: &[&str]| {
        let mut command = workspace.cargo();
        command.arg("clippy").args(arguments).args(["--", "-D", "warnings"]);
        command
    };
    log.check(&mut clippy(&["--workspace", "--exclude", "xtask-bindgen", "--all-targets"]))?;
    system::wasm_target()?;
    let wasm = ["--lib", "--no-default-features", "--target", "wasm32-unknown-unknown"];
    log.check(&mut clippy(&[&wasm[..], &["--features", "text,tensor-js,conv,fft"]].concat()))?;
    // What only the other builds have: kernels with relaxed SIMD, threads. Atomics are an option that the stable toolchain has,
    // but calls unstable.
    let flags = serde_json::to_string(&[THREADS.flags, &["-Ctarget-feature=+relaxed-simd"]].concat())?;
    let flags = format!("target.wasm32-unknown-unknown.rustflags={flags}");
    let mut threads = clippy(&[&wasm[..], &["--features", "text,conv,fft", "--config", &flags]].concat());
    log.check(threads.env("RUSTC_BOOTSTRAP", "1"))
}

/// The WebGPU backend: its lints, and its tests on the machine's adapter, which may be an emulation. Where a driver is missing and
/// cannot be installed, they say that nothing was tested; with `VOTIVE_WEBGPU_TESTS=require` in the environment that is a failure.
fn webgpu(workspace: &Workspace, log: &mut Log) -> Result<()> {
    let required = system::vulkan();
    let mut lint = workspace.cargo();
    lint.args(["clippy", "--lib", "--bins", "--features", "webgpu", "--", "-D", "warnings"]);
    log.check(&mut lint)?;
    let mut test = workspace.cargo();
    test.args(["test", "--lib", "--features", "webgpu", "webgpu"]);
    if required {
        test.env("VOTIVE_WEBGPU_TESTS", "require");
    }
    log.check(&mut test)
}

fn rust(workspace: &Workspace, log: &mut Log) -> Result<()> {
    fetch::fetch(true)?;
    let mut test = workspace.cargo();
    test.args(["test", "--workspace", "--exclude", "xtask-bindgen", "--no-fail-fast"]);
    log.check(test.env("VOTIVE_MODELS", models_dir()?))
}

fn browser(workspace: &Workspace, log: &mut Log) -> Result<()> {
    let conformance = package::build_conformance(workspace)?;
    package::build(workspace)?;
    fetch::fetch(true)?;
    let chromium = system::chromium()?;
    let tests = workspace.root.join("tests/browser");
    system::npm_ci(&tests)?;
    let mut npm = npm_program("npm");
    npm.args(["test", "--silent"]).current_dir(tests);
    npm.env("CHROMIUM", chromium).env("VOTIVE_MODELS", models_dir()?).env("VOTIVE_CONFORMANCE", conformance);
    log.check(&mut npm)
}

#[cfg(test)]
mod tests {
    use super::is_closing;

    #[test]
    fn closing_lines_are_known() {
        for line in ["test result: ok. 3 passed; 0 failed;", "# pass 12", "ℹ fail 0", "  7 passed (3.1s)", "  1 failed"]
        {
            assert!(is_closing(line), "{line}");
        }
        for line in ["test a::b ... ok", "running 3 tests", "3 files", "passed"] {
            assert!(!is_closing(line), "{line}");
        }
    }
}
