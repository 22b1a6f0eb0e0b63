//! `cargo xtask build`: the npm package, from Rust and TypeScript to `pkg-template/dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::files::{self, Fingerprint};
use crate::process::{self, capture, note, npm_program, step};
use crate::workspace::Workspace;
use crate::{size, system};

/// The name of the module's files: `votive_wasm.js`, `votive_wasm_bg.wasm`.
const NAME: &str = "votive_wasm";
/// What the module may weigh, in bytes: as it is, and compressed with brotli at its best. The goal for the first is 3 MB.
const MAX_RAW: u64 = 3_500_000;
const MAX_BROTLI: u64 = 900_000;
/// wasm-opt's optimisation: for size; rustc has already made the kernels fast. `-Oz` saves 0.5 % more, and costs as much with
/// brotli.
const OPTIMISATION: &str = "-Os";
/// What LLVM is told for the final, linked module: to inline little beyond what kernels mark, and not to unroll loops of
/// unknown length. 0.5 MB smaller; prefill and decode lose 7 to 9 % (an inlining threshold of 5 makes them four times slower).
const CODE_GENERATION: [&str; 4] = [
    "-Cllvm-args=-inline-threshold=30",
    "-Cllvm-args=-unroll-runtime=false",
    "-Cllvm-args=-unroll-allow-partial=false",
    "-Cllvm-args=-force-vector-interleave=1",
];
/// The WebAssembly features that every supported browser has (`.cargo/config.toml` gives the same ones to rustc).
const FEATURES: [&str; 8] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
    "--enable-extended-const",
];

/// Arguments of `cargo xtask build`: builds the package, using again what has not changed.
#[derive(clap::Args)]
pub struct Args {
    /// Also say what takes the space in the WebAssembly module, by crate
    #[arg(long)]
    report_size: bool,
}

/// Builds the package, using again what has not changed.
pub fn build(workspace: &Workspace) -> Result<()> {
    compile(workspace, &[])?;
    let packed = pack(workspace, &module_path(workspace), &workspace.scratch().join("package"), NAME)?;
    let dist = workspace.package().join("dist");
    for file in files_of(NAME) {
        files::copy(&packed.join(&file), &dist.join(&file))?;
    }
    typescript(workspace)?;
    report(workspace)
}

/// Builds the module that runs the conformance suite of the operations in a browser; returns its directory.
pub fn build_conformance(workspace: &Workspace) -> Result<PathBuf> {
    compile(workspace, &["--features", "conformance"])?;
    let out = workspace.scratch().join("conformance");
    bindgen(workspace, &module_path(workspace), &out, NAME, false)?;
    Ok(out)
}

/// Runs `cargo xtask build` as the command line asks for it.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    build(workspace)?;
    if args.report_size {
        let dir = workspace.scratch().join("size-report");
        bindgen(workspace, &module_path(workspace), &dir, NAME, true)?;
        print!("{}", size::report(&fs::read(dir.join(format!("{NAME}_bg.wasm")))?)?);
    }
    Ok(())
}

/// What wasm-bindgen writes for a module called `name`: the glue, its types, the module.
fn files_of(name: &str) -> [String; 3] {
    [format!("{name}.js"), format!("{name}.d.ts"), format!("{name}_bg.wasm")]
}

/// Makes what a browser loads out of the module that rustc wrote: generates the glue and optimises. Returns `out`, which then
/// holds `NAME.js`, `NAME.d.ts` and `NAME_bg.wasm`.
pub fn pack(workspace: &Workspace, wasm: &Path, out: &Path, name: &str) -> Result<PathBuf> {
    let glue = out.join("glue");
    bindgen(workspace, wasm, &glue, name, false)?;
    let [script, types, module] = files_of(name);
    optimise(workspace, &glue.join(&module), &out.join(&module))?;
    files::copy(&glue.join(&script), &out.join(&script))?;
    files::copy(&glue.join(&types), &out.join(&types))?;
    Ok(out.to_path_buf())
}

/// The module that rustc writes.
fn module_path(workspace: &Workspace) -> PathBuf {
    workspace.target.join("wasm32-unknown-unknown/wasm/votive.wasm")
}

/// Compiles the library for the browser.
fn compile(workspace: &Workspace, extra: &[&str]) -> Result<()> {
    system::wasm_target()?;
    let with = if extra.is_empty() { String::new() } else { format!(" with {}", extra.join(" ")) };
    step(format!("Compiling votive to WebAssembly{with}"));
    let mut cargo = workspace.cargo();
    cargo.args(["rustc", "--lib", "--profile", "wasm", "--no-default-features"]);
    cargo.args(["--target", "wasm32-unknown-unknown", "--crate-type", "cdylib"]).args(extra);
    // Flags in the environment would replace those of .cargo/config.toml, and with them SIMD.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // The module names source files in panic messages: not by where they lie on the machine that built it.
    let registry = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let registry = registry.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    for (from, to) in [(registry, "/cargo"), (Some(workspace.root.clone()), "/votive")] {
        if let Some(from) = from {
            let flag = serde_json::to_string(&format!("--remap-path-prefix={}={to}", from.display()))?;
            cargo.args(["--config", &format!("target.wasm32-unknown-unknown.rustflags=[{flag}]")]);
        }
    }
    process::run(cargo.arg("--").args(CODE_GENERATION))
}

/// Writes the JavaScript glue of `wasm`, and the module that goes with it, into the directory `out`.
fn bindgen(workspace: &Workspace, wasm: &Path, out: &Path, name: &str, keep_names: bool) -> Result<()> {
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock"))?;
    let version = locked_version(&lock, "wasm-bindgen").context("Cargo.lock has no wasm-bindgen")?;
    let tool =
        locked_version(&lock, "wasm-bindgen-cli-support").context("Cargo.lock has no wasm-bindgen-cli-support")?;
    if version != tool {
        bail!(
            "Cargo.lock has wasm-bindgen {version} and wasm-bindgen-cli-support {tool}: they must be the same version"
        );
    }
    let fingerprint = Fingerprint::default().text(version).file(wasm)?.hex();
    let stamp = out.join("done");
    if !files::is_done(&stamp, &fingerprint) {
        step(format!("Generating the JavaScript glue with wasm-bindgen {version} (compiled first, if it is not yet)"));
        let mut cargo = workspace.cargo();
        cargo.args(["run", "--profile", "tools", "--package", "xtask-bindgen", "--"]).arg(wasm).arg(out).arg(name);
        if keep_names {
            cargo.env("XTASK_BINDGEN_KEEP_NAMES", "1");
        }
        process::run(&mut cargo)?;
        files::mark_done(&stamp, &fingerprint)?;
    }
    Ok(())
}

/// The version of a package in the text of a Cargo.lock.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("\nname = \"{package}\"\n")))?;
    entry.split("\nversion = \"").nth(1)?.split('"').next()
}

/// Runs wasm-opt over the module `input`.
fn optimise(workspace: &Workspace, input: &Path, output: &Path) -> Result<()> {
    let tools = workspace.root.join("xtask/tools");
    let stamp = output.with_extension("wasm-optimised");
    let arguments: Vec<&str> = [OPTIMISATION, "--strip-debug", "--strip-producers", "--strip-target-features"]
        .into_iter()
        .chain(FEATURES)
        .collect();
    let lock = tools.join("package-lock.json");
    let fingerprint = Fingerprint::default().file(&lock)?.text(&arguments.join(" ")).file(input)?.hex();
    if !files::is_done(&stamp, &fingerprint) || !output.is_file() {
        system::npm_ci(&tools)?;
        step(format!("Optimising with wasm-opt {OPTIMISATION} (takes up to a minute)"));
        let script = tools.join("node_modules/binaryen/bin/wasm-opt");
        process::run(Command::new("node").arg(script).args(&arguments).arg(input).arg("-o").arg(output))?;
        files::mark_done(&stamp, &fingerprint)?;
    }
    Ok(())
}

/// Compiles the package's TypeScript into `dist`, with the package's own `npm run build`.
fn typescript(workspace: &Workspace) -> Result<()> {
    let package = workspace.package();
    system::npm_ci(&package)?;
    let types = package.join("dist").join(format!("{NAME}.d.ts"));
    let fingerprint = Fingerprint::default().tree(&package)?.file(&types)?.hex();
    let stamp = package.join("dist/.typescript-done");
    if files::is_done(&stamp, &fingerprint) {
        return Ok(());
    }
    step("Compiling the package's TypeScript");
    process::run(npm_program("npm").args(["run", "--silent", "build"]).current_dir(&package))?;
    files::mark_done(&stamp, &fingerprint)
}

/// Prints what the module weighs, and says so when that is over the budget.
fn report(workspace: &Workspace) -> Result<()> {
    let [raw, gzip, brotli] = sizes(workspace)?;
    step(format!("Built {}", workspace.package().join("dist").display()));
    note(format!(
        "{NAME}_bg.wasm: {:.2} MB, {:.0} KB with gzip, {:.0} KB with brotli",
        raw as f64 / 1e6,
        gzip as f64 / 1e3,
        brotli as f64 / 1e3,
    ));
    if let Err(error) = check_budget(workspace) {
        note(format!("warning: {error}"));
    }
    Ok(())
}

/// Fails when the built module is larger than it may be.
pub fn check_budget(workspace: &Workspace) -> Result<()> {
    let [raw, _, brotli] = sizes(workspace)?;
    if raw > MAX_RAW || brotli > MAX_BROTLI {
        bail!(
            "the module has {raw} bytes, {brotli} with brotli; {MAX_RAW} and {MAX_BROTLI} are its budget \
             (`cargo xtask build --report-size` says what takes the space)"
        );
    }
    Ok(())
}

/// The size of the built module in bytes: as it is, with gzip, with brotli (both at their best).
fn sizes(workspace: &Workspace) -> Result<[u64; 3]> {
    const SCRIPT: &str = "const z=require('zlib'),b=require('fs').readFileSync(process.argv[1]);\
        console.log(b.length,z.gzipSync(b,{level:9}).length,z.brotliCompressSync(b).length)";
    let module = workspace.package().join("dist").join(format!("{NAME}_bg.wasm"));
    let cache = workspace.scratch().join("package/sizes");
    let fingerprint = files::sha256(&module)?;
    let known = fs::read_to_string(&cache).ok();
    let known = known.as_deref().and_then(|text| text.strip_prefix(&fingerprint)).map(str::to_owned);
    let line = match known {
        Some(line) => line,
        None => {
            let line = capture(Command::new("node").args(["-e", SCRIPT]).arg(&module))?;
            files::write(&cache, format!("{fingerprint}{line}"))?;
            line
        }
    };
    let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|_| anyhow!("node did not report three sizes: {line}"))
}
