//! `cargo xtask build`: the npm package, from Rust and TypeScript to `pkg-template/dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::files::{self, Fingerprint};
use crate::modules::{CONFORMANCE, Kind, MODULES, Module, SIMD, THREADS, Variant, WEBGPU};
use crate::process::{self, capture, note, npm_program, step};
use crate::workspace::Workspace;
use crate::{size, system};

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
/// The standard library is compiled with the module: for size (0.15 MB smaller), and for threads. An option that the stable
/// toolchain has, but calls unstable.
const STANDARD_LIBRARY: [&str; 2] = ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"];
/// Panics say in which file of our own code they happened, but not on which line of it (0.02 MB smaller), nor where in
/// dependencies (0.1 MB smaller).
const OWN_LOCATIONS: &str = "-Zlocation-detail=file";
const LOCATIONS: [&str; 3] =
    ["-Zprofile-rustflags", "--config", "profile.wasm.package.\"*\".rustflags=[\"-Zlocation-detail=none\"]"];
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
#[derive(clap::Args, Default)]
pub struct Args {
    /// Build only these modules, for instance text_simd,text_threads; the others stay as they are
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Build fast, for working: larger and slower modules, not for measuring
    #[arg(long)]
    quick: bool,
    /// Also build the modules that run the conformance suite in browsers, for tests
    #[arg(long)]
    conformance: bool,
    /// Also say what takes the space in the WebAssembly modules, by crate
    #[arg(long)]
    report_size: bool,
}

/// How carefully a module is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// As it is shipped.
    Full,
    /// For working: without optimisation over the whole program.
    Quick,
}

impl Effort {
    /// cargo's profile, which also names its output folder.
    fn profile(self) -> &'static str {
        if self == Self::Full { "wasm" } else { "wasm-quick" }
    }
}

/// Builds the whole package, using again what has not changed.
pub fn build(workspace: &Workspace) -> Result<()> {
    build_modules(workspace, &MODULES.iter().collect::<Vec<_>>(), Effort::Full)?;
    report(workspace)
}

/// Runs `cargo xtask build` as the command line asks for it.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let names: Vec<String> = MODULES.iter().map(Module::name).collect();
    if let Some(unknown) = args.only.iter().find(|name| !names.contains(name)) {
        bail!("there is no module {unknown}; there are {}", names.join(", "));
    }
    // The package's TypeScript needs the types of the tensor module.
    let is_missing = |module: &Module| {
        module.kind.name == "tensor" && !workspace.package().join("dist").join(wasm_of(&module.stem())).is_file()
    };
    let is_wanted = |module: &&Module| args.only.is_empty() || args.only.contains(&module.name()) || is_missing(module);
    let wanted: Vec<&Module> = MODULES.iter().filter(is_wanted).collect();
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    build_modules(workspace, &wanted, effort)?;
    if effort == Effort::Full {
        report(workspace)?;
    }
    if args.conformance {
        build_conformance(workspace)?;
    }
    if args.report_size {
        for module in wanted {
            let wasm = compile(workspace, module.kind, module.variant, effort)?;
            let dir = workspace.scratch().join("size-report").join(module.name());
            bindgen(workspace, &wasm, &dir, &module.stem(), true)?;
            println!("\n{}", module.name());
            print!("{}", size::report(&fs::read(dir.join(wasm_of(&module.stem())))?)?);
        }
    }
    Ok(())
}

/// Builds modules and the TypeScript into `dist`. While one is compiled, the one before is packed.
fn build_modules(workspace: &Workspace, modules: &[&Module], effort: Effort) -> Result<()> {
    let dist = workspace.package().join("dist");
    prepare_bindgen(workspace)?;
    let pack_one = |module: &Module, wasm: PathBuf| -> Result<()> {
        let out = workspace.scratch().join(effort.profile()).join(module.name());
        let stem = module.stem();
        match effort {
            Effort::Full => drop(pack(workspace, &wasm, &out, &stem, module.variant.optimiser)?),
            Effort::Quick => bindgen(workspace, &wasm, &out, &stem, true)?,
        }
        files_of(&stem).iter().try_for_each(|file| files::copy(&out.join(file), &dist.join(file)))
    };
    std::thread::scope(|scope| {
        let mut packing: Option<std::thread::ScopedJoinHandle<'_, Result<()>>> = None;
        for module in modules {
            let wasm = compile(workspace, module.kind, module.variant, effort)?;
            if let Some(before) = packing.take() {
                joined(before)?;
            }
            packing = Some(scope.spawn(move || pack_one(module, wasm)));
        }
        packing.map_or(Ok(()), joined)
    })?;
    typescript(workspace)
}

fn joined(thread: std::thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().map_err(|_| anyhow!("packing a module panicked"))?
}

/// Builds the modules that run the conformance suite of the operations in a browser, one for each variant; returns the
/// directory in which `votive_conformance_VARIANT.js` are.
pub fn build_conformance(workspace: &Workspace) -> Result<PathBuf> {
    prepare_bindgen(workspace)?;
    let out = workspace.scratch().join("conformance");
    // With threads come relaxed SIMD's kernels.
    for variant in [&SIMD, &THREADS, &WEBGPU] {
        let module = Module { kind: &CONFORMANCE, variant, max_raw: u64::MAX, max_brotli: u64::MAX };
        let wasm = compile(workspace, module.kind, module.variant, Effort::Quick)?;
        let glue = out.join(module.name());
        bindgen(workspace, &wasm, &glue, &module.stem(), true)?;
        files_of(&module.stem()).iter().try_for_each(|file| files::copy(&glue.join(file), &out.join(file)))?;
    }
    Ok(out)
}

/// What wasm-bindgen writes for a module called `name`: the glue, its types, the module.
fn files_of(name: &str) -> [String; 3] {
    [format!("{name}.js"), format!("{name}.d.ts"), wasm_of(name)]
}

fn wasm_of(name: &str) -> String {
    format!("{name}_bg.wasm")
}

/// Makes what a browser loads out of the module that rustc wrote: generates the glue and optimises. Returns `out`, which then
/// holds `NAME.js`, `NAME.d.ts` and `NAME_bg.wasm`. `optimiser` are arguments of wasm-opt beside the usual ones.
pub fn pack(workspace: &Workspace, wasm: &Path, out: &Path, name: &str, optimiser: &[&str]) -> Result<PathBuf> {
    let glue = out.join("glue");
    bindgen(workspace, wasm, &glue, name, false)?;
    let [script, types, module] = files_of(name);
    optimise(workspace, &glue.join(&module), &out.join(&module), optimiser)?;
    files::copy(&glue.join(&script), &out.join(&script))?;
    files::copy(&glue.join(&types), &out.join(&types))?;
    Ok(out.to_path_buf())
}

/// Compiles the library for the browser; returns the module that rustc wrote, where the next compilation leaves it alone.
fn compile(workspace: &Workspace, kind: &Kind, variant: &Variant, effort: Effort) -> Result<PathBuf> {
    system::wasm_target()?;
    let library = system::rust_source()?;
    let name = format!("{}_{}", kind.name, variant.name);
    let profile = effort.profile();
    let mut cargo = workspace.cargo();
    cargo.args(["rustc", "--lib", "--profile", profile, "--no-default-features"]);
    cargo.args(["--target", "wasm32-unknown-unknown", "--crate-type", "cdylib"]);
    cargo.args(["--features", &format!("{},{}", kind.features, variant.features)]);
    cargo.env("RUSTC_BOOTSTRAP", "1");
    if effort == Effort::Full || variant.shares_memory {
        cargo.args(STANDARD_LIBRARY);
    }
    // Flags in the environment would replace those of .cargo/config.toml, and with them SIMD.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let mut flags: Vec<String> = variant.flags.iter().map(|&flag| flag.to_owned()).collect();
    if effort == Effort::Full {
        cargo.args(LOCATIONS);
        // The module names source files in panic messages: not by where they lie on the machine that built it.
        let registry = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let registry = registry.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        for (from, to) in [(registry, "/cargo"), (Some(library), "/rust"), (Some(workspace.root.clone()), "/votive")] {
            flags.extend(from.map(|from| format!("--remap-path-prefix={}={to}", from.display())));
        }
    }
    if !flags.is_empty() {
        let flags = serde_json::to_string(&flags)?;
        cargo.args(["--config", &format!("target.wasm32-unknown-unknown.rustflags={flags}")]);
    }
    cargo.arg("--").args(variant.own_flags);
    if effort == Effort::Full {
        cargo.args(CODE_GENERATION).arg(OWN_LOCATIONS);
    }
    let kept = workspace.scratch().join(profile).join(format!("{name}.wasm"));
    // cargo keeps one module only: asked for another, it compiles even what has not changed.
    let arguments: Vec<_> = cargo.get_args().map(|argument| argument.to_string_lossy()).collect();
    let mut fingerprint = Fingerprint::default().text(&arguments.join(" "));
    for part in ["src", "shaders", ".cargo", "tests/golden/conformance"] {
        fingerprint = fingerprint.tree(&workspace.root.join(part))?;
    }
    for part in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        fingerprint = fingerprint.file(&workspace.root.join(part))?;
    }
    let stamp = kept.with_extension("compiled");
    let fingerprint = fingerprint.hex();
    if files::is_done(&stamp, &fingerprint) && kept.is_file() {
        return Ok(kept);
    }
    step(format!("Compiling votive to WebAssembly: {name}"));
    process::run(&mut cargo)?;
    files::copy(&workspace.target.join("wasm32-unknown-unknown").join(profile).join("votive.wasm"), &kept)?;
    files::mark_done(&stamp, &fingerprint)?;
    Ok(kept)
}

/// Compiles the program that writes JavaScript glue, if it is not yet.
fn prepare_bindgen(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["build", "--quiet", "--profile", "tools", "--package", "xtask-bindgen"]))
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
        step(format!("Generating the JavaScript glue of {name} with wasm-bindgen {version}"));
        // Not by cargo: it may be busy with the next module.
        let program = workspace.target.join("tools").join(format!("xtask-bindgen{}", std::env::consts::EXE_SUFFIX));
        let mut program = Command::new(program);
        program.arg(wasm).arg(out).arg(name);
        if keep_names {
            program.env("XTASK_BINDGEN_KEEP_NAMES", "1");
        }
        process::run(&mut program)?;
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
fn optimise(workspace: &Workspace, input: &Path, output: &Path, more: &[&str]) -> Result<()> {
    let tools = workspace.root.join("xtask/tools");
    let stamp = output.with_extension("wasm-optimised");
    let arguments: Vec<&str> = [OPTIMISATION, "--strip-debug", "--strip-producers", "--strip-target-features"]
        .into_iter()
        .chain(FEATURES)
        .chain(more.iter().copied())
        .collect();
    let lock = tools.join("package-lock.json");
    let fingerprint = Fingerprint::default().file(&lock)?.text(&arguments.join(" ")).file(input)?.hex();
    if !files::is_done(&stamp, &fingerprint) || !output.is_file() {
        system::npm_ci(&tools)?;
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        step(format!("Optimising {name} with wasm-opt {OPTIMISATION} (takes up to a minute)"));
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
    let fingerprint = Fingerprint::default().tree(&package)?;
    // The types of the tensor module are a part of the package's.
    let fingerprint = fingerprint.file(&package.join("dist/votive_tensor_simd.d.ts"))?;
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
            "{}: {:.2} MB, {:.0} KB with gzip, {:.0} KB with brotli",
            wasm_of(&module.stem()),
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
        let (name, &Module { max_raw, max_brotli, .. }) = (wasm_of(&module.stem()), module);
        if raw > max_raw || brotli > max_brotli {
            bail!(
                "{name} has {raw} bytes, {brotli} with brotli; {max_raw} and {max_brotli} are its budget \
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
    let file = workspace.package().join("dist").join(wasm_of(&module.stem()));
    let cache = workspace.scratch().join("sizes").join(module.name());
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
