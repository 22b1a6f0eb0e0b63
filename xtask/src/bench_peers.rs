//! Peers of `cargo xtask bench --peers` that are built or converted first: natively llama.cpp, from the source package that its
//! Python binding publishes, candle and onnxruntime; and transformers.js's form of a model, which onnxruntime takes too.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::files;
use crate::process::{self, capture, step};
use crate::system;
use crate::workspace::Workspace;

/// The package that carries llama.cpp's sources.
const LLAMA_CPP: &str = "llama-cpp-python==0.3.36";
/// What builds it.
const BUILD_TOOLS: [&str; 2] = ["cmake==4.2.0", "ninja==1.13.0"];
/// What writes ONNX.
const CONVERTERS: [&str; 3] = ["numpy==2.2.6", "onnx==1.17.0", "gguf==0.19.0"];

/// What runs it natively.
const ONNXRUNTIME: [&str; 2] = ["numpy==2.2.6", "onnxruntime==1.23.2"];

/// The engines that are measured beside Votive natively.
pub struct Native {
    llama_bench: PathBuf,
    candle: PathBuf,
    /// A Python, the folder of its packages, a script, and the model's folder.
    onnxruntime: [PathBuf; 4],
    /// The file whose weights onnxruntime has.
    onnx_of: PathBuf,
}

impl Native {
    /// Builds and installs all of them; onnxruntime gets the weights of `model`.
    pub fn prepare(workspace: &Workspace, model: &Path) -> Result<Self> {
        let llama_bench = llama_bench(workspace)?;
        step("Compiling candle for this processor, to measure beside it");
        let peer = workspace.root.join("benches/peers/language");
        let target = workspace.scratch().join("language-peers");
        let mut cargo = workspace.cargo();
        cargo.current_dir(&peer).args(["build", "--release", "--locked", "--target-dir"]).arg(&target);
        // What it uses of a processor is settled when it is compiled.
        cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", "-Ctarget-cpu=native");
        process::run(&mut cargo)?;
        let candle = target.join("release").join(format!("language-peers{}", std::env::consts::EXE_SUFFIX));
        let packages = workspace.scratch().join("onnxruntime");
        let (stamp, fingerprint) =
            (packages.join("done"), files::Fingerprint::default().text(&ONNXRUNTIME.join(" ")).hex());
        let python = if files::is_done(&stamp, &fingerprint) {
            system::python()?
        } else {
            let python = system::python_packages(&packages, &ONNXRUNTIME)?;
            files::mark_done(&stamp, &fingerprint)?;
            python
        };
        let script = peer.join("onnxruntime_bench.py");
        let onnxruntime = [PathBuf::from(python), packages, script, onnx(workspace, model)?];
        Ok(Self { llama_bench, candle, onnxruntime, onnx_of: model.to_owned() })
    }

    /// Tokens a second of each on a model, in the form in which `votive bench --json` tells its own.
    pub fn measure(&self, model: &Path, threads: u64, runs: u32, tokens: u64) -> Result<Vec<Value>> {
        let numbers = [runs.to_string(), tokens.to_string()];
        step("The same with llama.cpp");
        let mut all = vec![measure_llama(&self.llama_bench, model, threads, runs, tokens)?];
        step("The same with candle");
        let mut candle = Command::new(&self.candle);
        candle.arg(model).args(&numbers).env("RAYON_NUM_THREADS", threads.to_string());
        all.push(measured("candle", model, threads, &mut candle)?);
        if model == self.onnx_of {
            let [python, packages, script, folder] = &self.onnxruntime;
            for (name, file) in [("onnxruntime f32", "model.onnx"), ("onnxruntime q8", "model_quantized.onnx")] {
                step(format!("The same with {name}"));
                let mut onnxruntime = Command::new(python);
                onnxruntime.arg(script).arg(folder.join("onnx").join(file)).arg(threads.to_string()).args(&numbers);
                all.push(measured(name, model, threads, onnxruntime.env("PYTHONPATH", packages))?);
            }
        }
        Ok(all)
    }
}

/// Medians of the runs that a peer prints.
fn measured(engine: &str, model: &Path, threads: u64, command: &mut Command) -> Result<Value> {
    let runs: Value = serde_json::from_str(&capture(command)?).with_context(|| format!("{engine} wrote no JSON"))?;
    let median_of = |name: &str| median(&runs[name]).with_context(|| format!("{engine} told no speed of {name}"));
    Ok(json!({
        "model": model, "engine": engine, "threads": threads, "decodeTokensPerSecond": median_of("decode")?,
        "prefillTokensPerSecond": { "128": median_of("128")?, "512": median_of("512")? },
    }))
}

fn median(runs: &Value) -> Option<f64> {
    let mut speeds: Vec<f64> = runs.as_array()?.iter().filter_map(Value::as_f64).collect();
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}

/// Builds llama.cpp for this processor, once; returns its `llama-bench`.
fn llama_bench(workspace: &Workspace) -> Result<PathBuf> {
    let scratch = workspace.scratch().join("llama.cpp");
    let program = scratch.join("build/bin").join(format!("llama-bench{}", std::env::consts::EXE_SUFFIX));
    let stamp = scratch.join("done");
    let fingerprint = files::Fingerprint::default().text(LLAMA_CPP).text(&BUILD_TOOLS.join(" ")).hex();
    if files::is_done(&stamp, &fingerprint) {
        return Ok(program);
    }
    step("Building llama.cpp for this processor, to measure beside it (some minutes, once)");
    let python = system::python()?;
    let environment = scratch.join("venv");
    process::run(Command::new(python).args(["-m", "venv"]).arg(&environment))?;
    let tools = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let pip = || {
        let mut pip = Command::new(tools.join("python"));
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]);
        pip
    };
    process::run(pip().arg("install").args(BUILD_TOOLS))?;
    // Only that package as sources: its build tools as they are published.
    let download = ["download", "--no-deps", "--no-binary", "llama-cpp-python", "--dest"];
    process::run(pip().args(download).arg(&scratch).arg(LLAMA_CPP))?;
    let version = LLAMA_CPP.rsplit('=').next().unwrap_or_default();
    let folder = format!("llama_cpp_python-{version}");
    let mut unpack = Command::new("tar");
    process::run(unpack.arg("xzf").arg(scratch.join(format!("{folder}.tar.gz"))).arg("-C").arg(&scratch))?;
    let mut configure = Command::new(tools.join("cmake"));
    configure.arg("-G").arg("Ninja").arg("-S").arg(scratch.join(folder).join("vendor/llama.cpp"));
    configure
        .arg("-B")
        .arg(scratch.join("build"))
        .arg(format!("-DCMAKE_MAKE_PROGRAM={}", tools.join("ninja").display()));
    configure.args(["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DBUILD_SHARED_LIBS=OFF"]);
    configure.args(
        ["LLAMA_CURL", "LLAMA_OPENSSL", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_SERVER", "LLAMA_BUILD_UI"]
            .map(|o| format!("-D{o}=OFF")),
    );
    if cfg!(target_arch = "x86_64") {
        // Its code for AMX crashes on virtual machines that name those instructions and do not let them be used.
        let flags = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16";
        configure.args(["C", "CXX"].map(|language| format!("-DCMAKE_{language}_FLAGS={flags}")));
    }
    process::run(&mut configure)?;
    let mut build = Command::new(tools.join("cmake"));
    process::run(build.arg("--build").arg(scratch.join("build")).args(["--target", "llama-bench"]))?;
    if !program.is_file() {
        bail!("llama.cpp was built, but there is no {}", program.display());
    }
    files::mark_done(&stamp, &fingerprint)?;
    Ok(program)
}

/// Tokens a second of llama.cpp on a model.
fn measure_llama(llama_bench: &Path, model: &Path, threads: u64, runs: u32, tokens: u64) -> Result<Value> {
    let mut bench = Command::new(llama_bench);
    bench.arg("-m").arg(model).args(["-t", &threads.to_string(), "-r", &runs.to_string(), "-n", &tokens.to_string()]);
    bench.args(["-p", "128,512", "-ngl", "0", "-o", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&capture(&mut bench)?).context("llama-bench did not write JSON")?;
    let mut measured =
        json!({ "model": model, "engine": "llama.cpp", "threads": threads, "prefillTokensPerSecond": {} });
    for row in &rows {
        let median = median(&row["samples_ts"]).context("llama-bench told no speeds")?;
        match row["n_prompt"].as_u64() {
            Some(length) if length > 0 => measured["prefillTokensPerSecond"][length.to_string()] = json!(median),
            _ => measured["decodeTokensPerSecond"] = json!(median),
        }
    }
    Ok(measured)
}

/// A Llama model's folder for transformers.js, in f32 and with 8-bit weights.
pub fn onnx(workspace: &Workspace, model: &Path) -> Result<PathBuf> {
    let script = workspace.root.join("benches/browser/models/llama_onnx.py");
    let scratch = workspace.scratch().join("bench-onnx");
    let (out, stamp) = (scratch.join("model"), scratch.join("done"));
    let name = model.display().to_string();
    let fingerprint = files::Fingerprint::default().text(&CONVERTERS.join(" ")).text(&name).file(&script)?.hex();
    if files::is_done(&stamp, &fingerprint) {
        return Ok(out);
    }
    step("Writing the model for transformers.js");
    let packages = scratch.join("python");
    let python = system::python_packages(&packages, &CONVERTERS)?;
    process::run(Command::new(python).arg(&script).arg(model).arg(&out).env("PYTHONPATH", &packages))?;
    files::mark_done(&stamp, &fingerprint)?;
    Ok(out)
}
