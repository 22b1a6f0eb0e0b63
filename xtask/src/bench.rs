//! `cargo xtask bench`: how fast the same model files run natively and in Chromium, and beside other engines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::files;
use crate::models::MODELS;
use crate::process::{self, capture, note, step};
use crate::workspace::{Workspace, models_dir};
use crate::{bench_kernels, bench_peers, bench_speech, bench_tensor, fetch, package, system};

/// The formats that are measured: the weights of the demo's model in each.
const TYPES: [&str; 3] = ["Q4_0", "Q4_1", "Q8_0"];

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Also measure, in turn, wllama 2.3.1 and 3.8.1, candle and transformers.js in the same browser, and natively llama.cpp, candle
    /// and onnxruntime (downloaded, compiled and converted for this only)
    #[arg(long)]
    peers: bool,
    /// Measure only the kernels, natively and in Chromium: matrix products in each weight format, and other operations, beside
    /// what the processor can do at most
    #[arg(long)]
    kernels: bool,
    /// With --kernels: only those whose names contain this
    #[arg(long, default_value = "")]
    filter: String,
    /// Measure only tensor operations and a training step, natively, beside candle, burn and PyTorch
    #[arg(long)]
    tensor: bool,
    /// Measure only speech to text in Chromium; with --peers, beside transformers.js and whisper.cpp's WebAssembly
    #[arg(long)]
    speech: bool,
    /// How often to measure; medians are reported
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Threads of each engine in the browser
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Tokens of the prompt in the browser
    #[arg(long, default_value_t = 128)]
    prompt: u32,
    /// How many tokens to decode in the browser
    #[arg(long, default_value_t = 64)]
    tokens: u32,
    /// Measure only there
    #[arg(long, value_enum)]
    only: Option<Place>,
    /// Measure this GGUF file instead of the demo's model in Q4_0, Q4_1 and Q8_0 (give it several times for several)
    #[arg(long)]
    model: Vec<PathBuf>,
    /// Write all measurements to this file, as JSON
    #[arg(long, default_value = "target/xtask/bench.json")]
    out: PathBuf,
}

/// Where to measure.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Place {
    Native,
    Browser,
}

/// Runs `cargo xtask bench`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.kernels {
        let measured = bench_kernels::run(workspace, &args.filter)?;
        let out = workspace.root.join(args.out.with_file_name("bench-kernels.json"));
        return files::write(&out, serde_json::to_string_pretty(&measured)?);
    }
    if args.tensor {
        let measured = bench_tensor::run(workspace)?;
        return bench_tensor::save(workspace, &args.out.with_file_name("bench-tensor.json"), &measured);
    }
    if args.speech {
        return bench_speech::run(workspace, args.peers, args.runs, &args.out.with_file_name("bench-speech.json"));
    }
    step("Compiling the native command line (release)");
    process::run(workspace.cargo().args(["build", "--release", "--bin", "votive"]))?;
    let votive = workspace.target.join("release").join(format!("votive{}", std::env::consts::EXE_SUFFIX));
    let models = if args.model.is_empty() { prepare_models(&votive)? } else { args.model.clone() };
    let mut measured = json!({});
    if args.only != Some(Place::Browser) {
        let peers = match models.last() {
            Some(model) if args.peers => Some(bench_peers::Native::prepare(workspace, model)?),
            _ => None,
        };
        measured["native"] = native(&votive, peers.as_ref(), &models, args.runs)?;
    }
    if args.only != Some(Place::Native) {
        measured["browser"] = browser(workspace, &models, args)?;
    }
    let out = workspace.root.join(&args.out);
    files::write(&out, serde_json::to_string_pretty(&measured)?)?;
    note(format!("all measurements: {}", out.display()));
    Ok(())
}

/// The demo's model in each format: as it is in the directory of models, else quantized from the published file.
fn prepare_models(votive: &Path) -> Result<Vec<PathBuf>> {
    fetch::fetch(false)?;
    let models = models_dir()?;
    let default = &MODELS[0];
    let published = models.join(default.id).join(default.file);
    let prepare = |kind: &&str| -> Result<PathBuf> {
        let name = default.file.replace("Q4_1", kind);
        let found = models.join(default.id).join(&name);
        let derived = models.join("derived/bench").join(&name);
        if found.is_file() {
            return Ok(found);
        }
        if !derived.is_file() {
            step(format!("Quantizing {} to {kind}", default.name));
            if let Some(folder) = derived.parent() {
                fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
            }
            // The output appears whole or not at all.
            process::run(Command::new(votive).arg("quantize").arg(&published).arg(&derived).args(["--type", kind]))?;
        }
        Ok(derived)
    };
    TYPES.iter().map(prepare).collect()
}

/// `votive bench`, and the peers' if they are wanted, on each model, with one thread and with as many as it takes by itself; prints
/// the numbers as a table.
fn native(votive: &Path, peers: Option<&bench_peers::Native>, models: &[PathBuf], runs: u32) -> Result<Value> {
    let mut all: Vec<Value> = Vec::new();
    for model in models {
        for threads in [Some("1"), None] {
            step(format!("Measuring {} natively, threads: {}", file_name(model), threads.unwrap_or("all")));
            let mut bench = Command::new(votive);
            bench.arg("bench").arg("--model").arg(model).args(["--json", "--runs", &runs.to_string()]);
            bench.args(threads.into_iter().flat_map(|count| ["--threads", count]));
            let output = capture(&mut bench)?;
            let own: Value = serde_json::from_str(&output).context("`votive bench --json` did not write JSON")?;
            let (threads, tokens) = (own["threads"].as_u64().unwrap_or(1), own["decodeTokens"].as_u64().unwrap_or(64));
            all.push(own);
            if let Some(peers) = peers {
                all.extend(peers.measure(model, threads, runs, tokens)?);
            }
        }
    }
    println!("\nNative, medians of {runs} runs\n");
    println!(
        "| model | engine | threads | load ms | prefill 128 tok/s | prefill 512 tok/s | decode tok/s | peak MB | Votive's ratio |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut own = &Value::Null;
    for entry in &all {
        let number =
            |value: &Value, scale: f64| value.as_f64().map_or("?".into(), |value| format!("{:.1}", value / scale));
        let prefill = &entry["prefillTokensPerSecond"];
        // A peer stands behind Votive's row on the same model with as many threads.
        own = if entry["engine"].is_null() { entry } else { own };
        let ratio = |mine: &Value, theirs: &Value| match (mine.as_f64(), theirs.as_f64()) {
            (Some(mine), Some(theirs)) => format!("{:.2} ×", mine / theirs),
            _ => "?".into(),
        };
        let ratios = [
            ratio(&own["prefillTokensPerSecond"]["128"], &prefill["128"]),
            ratio(&own["prefillTokensPerSecond"]["512"], &prefill["512"]),
            ratio(&own["decodeTokensPerSecond"], &entry["decodeTokensPerSecond"]),
        ];
        let cells = [
            file_name(Path::new(entry["model"].as_str().unwrap_or_default())),
            entry["engine"].as_str().unwrap_or("votive").to_owned(),
            entry["threads"].to_string(),
            number(&entry["loadMs"], 1.0),
            number(&prefill["128"], 1.0),
            number(&prefill["512"], 1.0),
            number(&entry["decodeTokensPerSecond"], 1.0),
            number(&entry["peakMemoryBytes"], 1e6),
            if entry["engine"].is_null() { String::new() } else { ratios.join(", ") },
        ];
        println!("| {} |", cells.join(" | "));
    }
    println!();
    Ok(Value::Array(all))
}

/// Votive, and its peers if they are wanted, in Chromium: see `benches/browser/run.mjs`.
fn browser(workspace: &Workspace, models: &[PathBuf], args: &Args) -> Result<Value> {
    package::build(workspace)?;
    let chromium = system::chromium()?;
    let bench = workspace.root.join("benches/browser");
    system::npm_ci(&bench)?;
    let out = workspace.scratch().join("bench-browser.json");
    let list: Vec<String> = models.iter().map(|model| model.display().to_string()).collect();
    let mut node = Command::new("node");
    node.arg("run.mjs").current_dir(&bench).env("CHROMIUM", chromium);
    node.arg("--votive").arg(workspace.package().join("dist")).arg("--models").arg(list.join(","));
    node.args(["--runs", &args.runs.to_string(), "--tokens", &args.tokens.to_string()]);
    node.args(["--threads", &args.threads.to_string(), "--prompt", &args.prompt.to_string()]).arg("--out").arg(&out);
    if args.peers {
        node.args(["--peers", "votive-simd,wllama,wllama-3"]).arg("--candle").arg(candle(workspace)?);
        // Of the format that loses least.
        if let Some(model) = models.last() {
            node.arg("--onnx").arg(bench_peers::onnx(workspace, model)?);
        }
    }
    step("Measuring in Chromium");
    process::run(&mut node)?;
    let text = fs::read_to_string(&out).with_context(|| format!("could not read {}", out.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// Compiles candle to WebAssembly, as fast as it can be made (SIMD, full optimisation); returns the directory of its module.
fn candle(workspace: &Workspace) -> Result<PathBuf> {
    system::wasm_target()?;
    step("Compiling candle to WebAssembly, to measure beside it");
    let target = workspace.scratch().join("candle-wasm");
    let mut cargo = workspace.cargo();
    cargo.current_dir(workspace.root.join("benches/peers/candle-wasm"));
    cargo.args(["build", "--release", "--locked", "--target", "wasm32-unknown-unknown", "--target-dir"]).arg(&target);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(&mut cargo)?;
    let module = target.join("wasm32-unknown-unknown/release/candle_wasm.wasm");
    if !module.is_file() {
        bail!("cargo succeeded, but there is no {}", module.display());
    }
    package::pack(workspace, &module, &target.join("package"), "candle_wasm", &[])
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
