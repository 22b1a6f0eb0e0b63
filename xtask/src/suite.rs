//! `cargo xtask test`: every check and every test. All of them run, even when one fails; a table at the end says which did.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::modules::THREADS;
use crate::process::{note, npm_program, run_keeping, shown, step};
use crate::workspace::{Workspace, models_dir};
use crate::{fetch, files, package, system};

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
    /// All native tests, with the examples in the documentation; those of WebGPU on this machine's GPU, or on an emulation of one
    Rust,
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
    let mut parts = Part::value_variants().to_vec();
    parts.retain(|part| args.only.is_empty() || args.only.contains(part));
    // Linking a WebAssembly module keeps one processor busy: the package is built while other parts run.
    let is_beside = parts.contains(&Part::Rust) && parts.contains(&Part::Package);
    let mut background = if is_beside { Some(Background::start(workspace)?) } else { None };
    let mut outcomes = Vec::new();
    for part in parts {
        let background = if part == Part::Package { background.take() } else { None };
        outcomes.push(run_part(workspace, part, background));
    }
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

/// `cargo xtask build`, running beside other parts.
struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    fn start(workspace: &Workspace) -> Result<Self> {
        let log = workspace.scratch().join("package.log");
        files::write(&log, "")?;
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut build = Command::new(std::env::current_exe()?);
        build.args(["build", "--conformance"]).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = build.spawn().context("cannot start the build of the package")?;
        Ok(Self { child, log })
    }

    /// Waits for its end, and prints what it said.
    fn wait(mut self) -> Result<()> {
        let status = self.child.wait()?;
        print!("{}", std::fs::read_to_string(&self.log)?);
        if !status.success() {
            bail!("the package cannot be built");
        }
        Ok(())
    }
}

fn run_part(workspace: &Workspace, part: Part, background: Option<Background>) -> Outcome {
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
        Part::Package => background
            .map_or_else(|| package::build(workspace), Background::wait)
            .and_then(|()| package::check_budget(workspace)),
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
    let all = ["--workspace", "--exclude", "xtask-bindgen", "--all-targets", "--features", "votive/webgpu"];
    log.check(&mut clippy(&all))?;
    // As most people compile it.
    log.check(&mut clippy(&["--package", "votive", "--lib", "--bins"]))?;
    system::wasm_target()?;
    let wasm = ["--lib", "--no-default-features", "--target", "wasm32-unknown-unknown"];
    log.check(&mut clippy(&[&wasm[..], &["--features", "text,tensor-js,conv,fft"]].concat()))?;
    log.check(&mut clippy(&[&wasm[..], &["--features", "whisper,webgpu"]].concat()))?;
    // What only the other builds have: kernels with relaxed SIMD, threads. Atomics are an option that the stable toolchain has,
    // but calls unstable.
    let flags = serde_json::to_string(&[THREADS.flags, &["-Ctarget-feature=+relaxed-simd"]].concat())?;
    let flags = format!("target.wasm32-unknown-unknown.rustflags={flags}");
    let mut threads = clippy(&[&wasm[..], &["--features", "text,conv,fft", "--config", &flags]].concat());
    log.check(threads.env("RUSTC_BOOTSTRAP", "1"))
}

/// All tests. Those of WebGPU say that they tested nothing where a driver is missing and cannot be installed; with
/// `VOTIVE_WEBGPU_TESTS=require` in the environment that is a failure.
fn rust(workspace: &Workspace, log: &mut Log) -> Result<()> {
    fetch::fetch(true)?;
    let mut test = workspace.cargo();
    test.args(["test", "--workspace", "--exclude", "xtask-bindgen", "--features", "votive/webgpu", "--no-fail-fast"]);
    if system::vulkan() {
        test.env("VOTIVE_WEBGPU_TESTS", "require");
    }
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
