//! `cargo xtask bench --speech`: speech to text in Chromium, one thread, beside other engines on the same model.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::files;
use crate::models::MODELS;
use crate::process::{note, run as run_command, step};
use crate::workspace::{Workspace, models_dir};
use crate::{fetch, package, system};

/// What writes the peers' model files.
const PYTHON_PACKAGES: [&str; 2] = ["numpy==2.2.6", "onnx==1.17.0"];

/// Measures Whisper tiny.en on the golden recording; `peers` beside transformers.js and whisper.cpp.
pub fn run(workspace: &Workspace, peers: bool, runs: u32, out: &Path) -> Result<()> {
    package::build(workspace)?;
    fetch::fetch(false)?;
    let chromium = system::chromium()?;
    let bench = workspace.root.join("benches/speech");
    system::npm_ci(&bench)?;
    let model = MODELS.iter().find(|model| model.id == "whisper-tiny.en").context("the list has a speech model")?;
    let folder = models_dir()?.join(model.id);
    let out = workspace.root.join(out);
    let mut node = Command::new("node");
    node.arg("run.mjs").current_dir(&bench).env("CHROMIUM", chromium);
    node.arg("--votive").arg(workspace.package().join("dist")).arg("--model").arg(&folder);
    node.arg("--audio").arg(workspace.root.join("tests/golden/audio/jfk.wav"));
    node.args(["--runs", &runs.to_string()]).arg("--out").arg(&out);
    if peers {
        let [onnx, ggml] = convert(workspace, &bench, &folder)?;
        node.arg("--onnx").arg(onnx).arg("--ggml").arg(ggml);
    }
    step("Measuring in Chromium");
    run_command(&mut node)?;
    note(format!("all measurements: {}", out.display()));
    Ok(())
}

/// The model as transformers.js (a folder) and whisper.cpp (a file) load it.
fn convert(workspace: &Workspace, bench: &Path, folder: &Path) -> Result<[PathBuf; 2]> {
    let scratch = workspace.scratch().join("bench-speech");
    let outputs = [scratch.join("onnx"), scratch.join("ggml-tiny.en.bin")];
    let stamp = scratch.join("done");
    let mut fingerprint = files::Fingerprint::default().text(&PYTHON_PACKAGES.join(" "));
    for script in ["checkpoint.py", "whisper_onnx.py", "whisper_ggml.py"] {
        fingerprint = fingerprint.file(&bench.join("models").join(script))?;
    }
    let fingerprint = fingerprint.hex();
    if files::is_done(&stamp, &fingerprint) {
        return Ok(outputs);
    }
    step("Writing the model's files for transformers.js and whisper.cpp");
    let packages = scratch.join("python");
    let python = system::python_packages(&packages, &PYTHON_PACKAGES)?;
    for (script, output) in ["whisper_onnx.py", "whisper_ggml.py"].iter().zip(&outputs) {
        let mut convert = Command::new(python);
        convert.arg(bench.join("models").join(script)).arg(folder).arg(output).env("PYTHONPATH", &packages);
        run_command(&mut convert)?;
    }
    files::mark_done(&stamp, &fingerprint)?;
    Ok(outputs)
}
