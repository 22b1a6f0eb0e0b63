//! `cargo xtask bench --kernels`: how fast single kernels are, natively and in Chromium, beside what the processor can do at most.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, capture, step};
use crate::system;
use crate::workspace::Workspace;

/// The programs that measure, and the features that they need.
const BENCHES: [(&str, &str); 2] = [("kernels", ""), ("operations", "conv")];
const WASM: &str = "wasm32-unknown-unknown";

/// Measures natively and with both builds for browsers without threads; prints a table.
pub fn run(workspace: &Workspace, filter: &str) -> Result<Vec<Value>> {
    system::wasm_target()?;
    let (chromium, pages) = (system::chromium()?, workspace.root.join("benches/browser"));
    system::npm_ci(&pages)?;
    let mut modules = Vec::new();
    for relaxed in [true, false] {
        for (bench, features) in BENCHES {
            modules.push(compile(workspace, bench, features, relaxed)?);
        }
    }
    let mut lines = Vec::new();
    for (bench, features) in BENCHES {
        step(format!("Measuring {bench} natively, one thread"));
        let mut cargo = workspace.cargo();
        cargo.args(["bench", "--bench", bench, "--features", features, "--", filter]).env("VOTIVE_THREADS", "1");
        lines.extend(measured(&mut cargo)?);
    }
    step("Measuring in Chromium, one thread, with and without relaxed SIMD");
    let mut node = Command::new("node");
    node.arg("kernels.mjs").args(&modules).args(["--filter", filter]).current_dir(pages).env("CHROMIUM", chromium);
    lines.extend(measured(&mut node)?);
    table(&lines);
    Ok(lines)
}

/// Compiles a benchmark to WebAssembly; returns the module.
fn compile(workspace: &Workspace, bench: &str, features: &str, relaxed: bool) -> Result<PathBuf> {
    let variant = if relaxed { "relaxed" } else { "simd" };
    step(format!("Compiling {bench} to WebAssembly ({variant})"));
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--bench", bench, "--profile", "bench-dev", "--no-default-features", "--features", features]);
    cargo.args(["--target", WASM, "--message-format", "json-render-diagnostics", "--target-dir"]);
    cargo.arg(workspace.scratch().join(format!("bench-{variant}")));
    if relaxed {
        // Beside the flags that the workspace's configuration has.
        cargo.args(["--config", &format!("target.{WASM}.rustflags=['-Ctarget-feature=+relaxed-simd']")]);
    }
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let messages = capture(&mut cargo)?;
    let made = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifact =
        made.filter(|message| message["target"]["name"] == bench && message["reason"] == "compiler-artifact");
    let files = artifact.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    let module = files
        .filter_map(|file| Some(PathBuf::from(file.as_str()?)))
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    module.with_context(|| format!("cargo succeeded, but made no WebAssembly module of {bench}"))
}

/// The measurements that a program prints, each a line of JSON.
fn measured(command: &mut Command) -> Result<Vec<Value>> {
    let (lines, succeeded) = process::run_keeping(command, |line| line.starts_with('{'))?;
    if !succeeded {
        bail!("`{}` failed", process::shown(command));
    }
    lines.iter().map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))).collect()
}

/// A measurement's unit and number.
fn speed(line: &Value) -> Option<(&str, f64)> {
    let units = [("gops", "Gop/s"), ("gflops", "GFLOP/s"), ("melem", "Melem/s"), ("gbytes", "GB/s")];
    units.into_iter().find_map(|(key, unit)| Some((unit, line[key].as_f64()?)))
}

/// The limit that a kernel is compared with: that of its arithmetic.
fn limit_of(kernel: &str) -> &'static str {
    if kernel.starts_with('q') { "limit of i16" } else { "limit of f32" }
}

/// Prints the measurements with a column for each instruction set, and for arithmetic its part of the limit.
fn table(lines: &[Value]) {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let (mut kernels, mut isas) = (Vec::new(), Vec::new());
    for line in lines {
        for (all, name) in [(&mut kernels, text(line, "kernel")), (&mut isas, text(line, "isa"))] {
            if !all.contains(&name) {
                all.push(name);
            }
        }
    }
    let find = |kernel: &str, isa: &str| {
        let line = lines.iter().find(|line| line["kernel"] == kernel && line["isa"] == isa)?;
        speed(line)
    };
    println!("\n| kernel | unit | {} |", isas.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(isas.len()));
    for kernel in &kernels {
        let mut unit = "";
        let cells = isas.iter().map(|isa| {
            let Some((own, number)) = find(kernel, isa) else { return String::new() };
            unit = own;
            match find(limit_of(kernel), isa).filter(|_| own.starts_with('G') && own != "GB/s") {
                Some((_, limit)) if !kernel.starts_with("limit") => {
                    format!("{number:.1} ({:.0} %)", 100.0 * number / limit)
                }
                _ => format!("{number:.1}"),
            }
        });
        let cells: Vec<_> = cells.collect();
        println!("| {kernel} | {unit} | {} |", cells.join(" | "));
    }
}
