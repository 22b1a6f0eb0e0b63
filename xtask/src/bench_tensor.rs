//! `cargo xtask bench --tensor`: tensor operations beside candle, burn and PyTorch, in one run and one table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::files;
use crate::process::{self, capture, note, step};
use crate::system;
use crate::workspace::Workspace;

/// The engines, in the order of the table; ratios are to the first.
const ENGINES: [&str; 4] = ["votive", "candle", "burn", "pytorch"];
/// Batches measured of each case; the median counts.
const ROUNDS: &str = "15";

/// Milliseconds by case, in the order measured, and engine.
type Times = Vec<(String, BTreeMap<String, f64>)>;

/// Compiles the peers, measures with one thread and with two, prints the tables and returns all numbers.
pub fn run(workspace: &Workspace) -> Result<Value> {
    step("Compiling Votive, candle and burn, to measure them side by side");
    let peers = workspace.root.join("benches/peers/tensor");
    let target = workspace.scratch().join("tensor-peers");
    let mut cargo = workspace.cargo();
    // Not --locked: the lock file pins the peers, but what Votive depends on changes with it.
    cargo.current_dir(&peers).args(["build", "--release", "--target-dir"]).arg(&target);
    process::run(&mut cargo)?;
    let program = target.join("release").join(format!("tensor-peers{}", std::env::consts::EXE_SUFFIX));
    let python = torch(workspace)?;
    let mut all = json!({});
    for threads in ["1", "2"] {
        step(format!("Measuring with {threads} thread(s)"));
        let mut times = Times::new();
        let mut rust = Command::new(&program);
        rust.arg(ROUNDS).env("VOTIVE_THREADS", threads).env("RAYON_NUM_THREADS", threads);
        collect(&capture(&mut rust)?, &mut times)?;
        let mut torch = Command::new(&python);
        torch.arg(peers.join("torch_bench.py")).args([threads, ROUNDS]);
        collect(&capture(&mut torch)?, &mut times)?;
        print(threads, &times);
        all[format!("threads{threads}")] = json!(times.into_iter().collect::<BTreeMap<_, _>>());
    }
    Ok(all)
}

/// A Python that has PyTorch: `$VOTIVE_PYTHON`, the one on PATH, else one in an environment of its own.
fn torch(workspace: &Workspace) -> Result<PathBuf> {
    let has_torch = |python: &PathBuf| capture(Command::new(python).args(["-c", "import torch"])).is_ok();
    let own = workspace.scratch().join("venv-torch");
    let program = own.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let given = std::env::var_os("VOTIVE_PYTHON").map(PathBuf::from);
    let candidates = given.into_iter().chain(["python3".into(), "python".into(), program.clone()]);
    if let Some(python) = candidates.into_iter().find(has_torch) {
        return Ok(python);
    }
    step("Installing PyTorch into an environment of its own (about 200 MB, once)");
    process::run(Command::new(system::python()?).args(["-m", "venv"]).arg(&own))?;
    let mut pip = Command::new(&program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "torch", "numpy"]);
    process::run(&mut pip)?;
    if !has_torch(&program) {
        bail!("PyTorch was installed into {}, but cannot be imported there", own.display());
    }
    Ok(program)
}

/// Reads lines of `{"case", "engine", "ms"}`.
fn collect(lines: &str, times: &mut Times) -> Result<()> {
    for line in lines.lines() {
        let value: Value = serde_json::from_str(line).with_context(|| format!("not a measurement: {line}"))?;
        let (Some(case), Some(engine), Some(ms)) =
            (value["case"].as_str(), value["engine"].as_str(), value["ms"].as_f64())
        else {
            bail!("not a measurement: {line}");
        };
        match times.iter_mut().find(|(name, _)| name == case) {
            Some((_, engines)) => engines.insert(engine.to_owned(), ms),
            None => {
                times.push((case.to_owned(), BTreeMap::from([(engine.to_owned(), ms)])));
                None
            }
        };
    }
    Ok(())
}

fn print(threads: &str, times: &Times) {
    let clock = if threads == "1" { "processor time" } else { "time" };
    println!("\n{threads} thread(s): milliseconds of {clock}, medians of {ROUNDS} batches (times as long as Votive)\n");
    println!("| | {} |", ENGINES.join(" | "));
    println!("| --- {}|", "| ---: ".repeat(ENGINES.len()));
    for (case, engines) in times {
        let own = engines.get(ENGINES[0]).copied();
        let cell = |engine: &&str| match (engines.get(*engine), own) {
            (Some(ms), _) if *engine == ENGINES[0] => format!("{ms:.3}"),
            (Some(ms), Some(own)) => format!("{ms:.3} ({:.2})", ms / own),
            _ => "–".to_owned(),
        };
        println!("| {case} | {} |", ENGINES.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    println!();
}

/// Writes the numbers beside those of the other measurements.
pub fn save(workspace: &Workspace, out: &Path, measured: &Value) -> Result<()> {
    let out = workspace.root.join(out);
    files::write(&out, serde_json::to_string_pretty(measured)?)?;
    note(format!("all measurements: {}", out.display()));
    Ok(())
}
