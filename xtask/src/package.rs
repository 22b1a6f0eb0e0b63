//! `cargo xtask build`: the npm package, from Rust and TypeScript to `pkg-template/dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::files::{self, Fingerprint};
use crate::process::{self, capture, note, npm_program, step};
use crate::workspace::Workspace;
use crate::{size, system};

/// A WebAssembly module of the package: its files are `NAME.js` and `NAME_bg.wasm`.
struct Module {
    name: &'static str,
    /// The features of the crate that it is compiled with.
    features: &'static str,
    /// What it may weigh, in bytes: as it is, and compressed with brotli at its best.
    max_raw: u64,
    max_brotli: u64,
}
/// Text models, which the package itself loads; tensors, which `votive/tensor` loads. Neither has the other's code.
const TEXT: Module = Module { name: "votive_wasm", features: "text", max_raw: 3_000_000, max_brotli: 900_000 };
const TENSOR: Module =
    Module { name: "votive_tensor", features: "tensor-js,conv,fft", max_raw: 1_500_000, max_brotli: 450_000 };
const MODULES: [&Module; 2] = [&TEXT, &TENSOR];
/// wasm-opt's optimisation: for size; rustc has already made the kernels fast.
const OPTIMISATION: &str = "-Oz";
/// What LLVM is told for the final, linked module: to inline little beyond what kernels mark, and not to unroll loops of
/// unknown length. 0.5 MB smaller; prefill and decode lose 7 to 9 % (an inlining threshold of 5 makes them four times slower,
/// a hint threshold of 30 makes prefill 20 % slower).
const CODE_GENERATION: [&str; 5] = [
    "-Cllvm-args=-inline-threshold=30",
    "-Cllvm-args=-inlinehint-threshold=60",
    "-Cllvm-args=-unroll-runtime=false",
    "-Cllvm-args=-unroll-allow-partial=false",
    "-Cllvm-args=-force-vector-interleave=1",
];
/// The standard library is compiled with the module, for size (0.15 MB smaller), and panics say where they happened in our own
/// code, but not in dependencies (0.1 MB smaller). Options that the stable toolchain has, but calls unstable.
const UNSTABLE: [&str; 5] = [
    "-Zbuild-std=std,panic_abort",
    "-Zbuild-std-features=optimize_for_size",
    "-Zprofile-rustflags",
    "--config",
    "profile.wasm.package.\"*\".rustflags=[\"-Zlocation-detail=none\"]",
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
    let dist = workspace.package().join("dist");
    for module in MODULES {
        compile(workspace, module.features)?;
        let out = workspace.scratch().join("package").join(module.name);
        let packed = pack(workspace, &module_path(workspace), &out, module.name)?;
        for file in files_of(module.name) {
            files::copy(&packed.join(&file), &dist.join(&file))?;
        }
    }
    typescript(workspace)?;
    report(workspace)
}

/// Builds the module that runs the conformance suite of the operations in a browser; returns its directory.
pub fn build_conformance(workspace: &Workspace) -> Result<PathBuf> {
    compile(workspace, "conformance,conv,fft")?;
    let out = workspace.scratch().join("conformance");
    bindgen(workspace, &module_path(workspace), &out, TEXT.name, false)?;
    Ok(out)
}

/// Runs `cargo xtask build` as the command line asks for it.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    build(workspace)?;
    if args.report_size {
        for module in MODULES {
            compile(workspace, module.features)?;
            let dir = workspace.scratch().join("size-report").join(module.name);
            bindgen(workspace, &module_path(workspace), &dir, module.name, true)?;
            println!("\n{}", module.name);
            print!("{}", size::report(&fs::read(dir.join(format!("{}_bg.wasm", module.name)))?)?);
        }
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

/// Compiles the library for the browser, with these features.
fn compile(workspace: &Workspace, features: &str) -> Result<()> {
    system::wasm_target()?;
    let library = system::rust_source()?;
    step(format!("Compiling votive to WebAssembly with {features}"));
    let mut cargo = workspace.cargo();
    cargo.args(["rustc", "--lib", "--profile", "wasm", "--no-default-features"]);
    cargo.args(["--target", "wasm32-unknown-unknown", "--crate-type", "cdylib", "--features", features]);
    cargo.args(UNSTABLE).env("RUSTC_BOOTSTRAP", "1");
    // Flags in the environment would replace those of .cargo/config.toml, and with them SIMD.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // The module names source files in panic messages: not by where they lie on the machine that built it.
    let registry = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let registry = registry.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    for (from, to) in [(registry, "/cargo"), (Some(library), "/rust"), (Some(workspace.root.clone()), "/votive")] {
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
    let mut fingerprint = Fingerprint::default().tree(&package)?;
    for module in MODULES {
        fingerprint = fingerprint.file(&package.join("dist").join(format!("{}.d.ts", module.name)))?;
    }
    let fingerprint = fingerprint.hex();
    let stamp = package.join("dist/.typescript-done");
    if files::is_done(&stamp, &fingerprint) {
        return Ok(());
    }
    step("Compiling the package's TypeScript");
    process::run(npm_program("npm").args(["run", "--silent", "build"]).current_dir(&package))?;
    files::mark_done(&stamp, &fingerprint)
}

/// Prints what the modules weigh, and says so when that is over the budget.
fn report(workspace: &Workspace) -> Result<()> {
    step(format!("Built {}", workspace.package().join("dist").display()));
    for module in MODULES {
        let [raw, gzip, brotli] = sizes(workspace, module)?;
        note(format!(
            "{}_bg.wasm: {:.2} MB, {:.0} KB with gzip, {:.0} KB with brotli",
            module.name,
            raw as f64 / 1e6,
            gzip as f64 / 1e3,
            brotli as f64 / 1e3,
        ));
    }
    if let Err(error) = check_budget(workspace) {
        note(format!("warning: {error}"));
    }
    Ok(())
}

/// Fails when a built module is larger than it may be.
pub fn check_budget(workspace: &Workspace) -> Result<()> {
    for module in MODULES {
        let [raw, _, brotli] = sizes(workspace, module)?;
        let &Module { name, max_raw, max_brotli, .. } = module;
        if raw > max_raw || brotli > max_brotli {
            bail!(
                "{name}_bg.wasm has {raw} bytes, {brotli} with brotli; {max_raw} and {max_brotli} are its budget \
                 (`cargo xtask build --report-size` says what takes the space)"
            );
        }
    }
    Ok(())
}

/// The size of a built module in bytes: as it is, with gzip, with brotli (both at their best).
fn sizes(workspace: &Workspace, module: &Module) -> Result<[u64; 3]> {
    const SCRIPT: &str = "const z=require('zlib'),b=require('fs').readFileSync(process.argv[1]);\
        console.log(b.length,z.gzipSync(b,{level:9}).length,z.brotliCompressSync(b).length)";
    let file = workspace.package().join("dist").join(format!("{}_bg.wasm", module.name));
    let cache = workspace.scratch().join("package").join(module.name).join("sizes");
    let fingerprint = files::sha256(&file)?;
    let known = fs::read_to_string(&cache).ok();
    let known = known.as_deref().and_then(|text| text.strip_prefix(&fingerprint)).map(str::to_owned);
    let line = match known {
        Some(line) => line,
        None => {
            let line = capture(Command::new("node").args(["-e", SCRIPT]).arg(&file))?;
            files::write(&cache, format!("{fingerprint}{line}"))?;
            line
        }
    };
    let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|_| anyhow!("node did not report three sizes: {line}"))
}
