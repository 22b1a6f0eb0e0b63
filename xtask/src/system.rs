//! What must be on the machine: the wasm target, Node, pip, Chromium. What is missing is installed where that is usual
//! and possible (rustup; the package manager of Debian and its relatives, as root), else the message says what to do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::files::{self, Fingerprint};
use crate::process::{capture, note, npm_program, run, step};

/// The oldest Node that the package and the tools support.
const NODE_MAJOR: u32 = 20;

/// Makes sure that rustc can compile for the browser.
pub fn wasm_target() -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libdir = capture(Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]))?;
    if Path::new(&libdir).is_dir() {
        return Ok(());
    }
    step(format!("Installing the compilation target {TARGET}"));
    let added = run(Command::new("rustup").args(["target", "add", TARGET]));
    added.map_err(|error| error.context(format!("rustc has no target {TARGET}, and rustup could not add it")))
}

/// Makes sure that the standard library can be compiled, as the module has it done; returns the directory of its source.
pub fn rust_source() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = capture(Command::new(rustc).args(["--print", "sysroot"]))?;
    let source = Path::new(&sysroot).join("lib/rustlib/src/rust");
    if !source.join("library/Cargo.lock").is_file() {
        step("Installing the source of the standard library (rust-src)");
        let added = run(Command::new("rustup").args(["component", "add", "rust-src"]));
        added.map_err(|error| error.context("the toolchain has no rust-src, and rustup could not add it"))?;
    }
    Ok(source)
}

/// Makes sure that there is a recent enough Node, with npm.
pub fn node() -> Result<()> {
    let wanted = format!("Node {NODE_MAJOR} or newer, with npm, is needed (https://nodejs.org)");
    let Ok(version) = capture(Command::new("node").arg("--version")) else { bail!("{wanted}; there is none on PATH") };
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR) {
        bail!("{wanted}; the one on PATH is {version}");
    }
    if capture(npm_program("npm").arg("--version")).is_err() {
        bail!("{wanted}; there is no npm on PATH");
    }
    Ok(())
}

/// Installs what `dir/package-lock.json` pins into `dir/node_modules`, unless that is what is there.
pub fn npm_ci(dir: &Path) -> Result<()> {
    node()?;
    let stamp = dir.join("node_modules/.votive-installed");
    let fingerprint =
        Fingerprint::default().file(&dir.join("package.json"))?.file(&dir.join("package-lock.json"))?.hex();
    if files::is_done(&stamp, &fingerprint) {
        return Ok(());
    }
    step(format!("npm ci in {}", dir.display()));
    run(npm_program("npm").args(["ci", "--no-fund", "--no-audit", "--loglevel=error"]).current_dir(dir))?;
    files::mark_done(&stamp, &fingerprint)
}

/// Installs Python packages into a folder of their own, for `PYTHONPATH`; returns the Python that has use for them.
pub fn python_packages(folder: &Path, requirements: &[&str]) -> Result<&'static str> {
    let python = python()?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--upgrade", "--target"]);
    run(pip.arg(folder).args(requirements))?;
    Ok(python)
}

/// A Python that has pip.
pub fn python() -> Result<&'static str> {
    let found = || {
        let has_pip = |python: &&str| capture(Command::new(python).args(["-m", "pip", "--version"])).is_ok();
        ["python3", "python"].into_iter().find(has_pip)
    };
    if let Some(python) = found() {
        return Ok(python);
    }
    install_debian(&["python3-pip"], "Python 3 with pip (it downloads the models)")?;
    match found() {
        Some(python) => Ok(python),
        None => bail!("Python 3 with pip was installed, but `python3 -m pip --version` still fails"),
    }
}

/// The Chromium (or Chrome) to test in: `$CHROMIUM`, else the first on PATH, else one that is installed now.
pub fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("CHROMIUM is set to {}, and there is no such file", path.display());
        }
        return Ok(path);
    }
    if let Some(path) = find_chromium() {
        return Ok(path);
    }
    install_debian(&["chromium"], "Chromium (or set CHROMIUM to the path of a Chrome)")?;
    match find_chromium() {
        Some(path) => Ok(path),
        None => bail!("Chromium was installed, but is not on PATH; set CHROMIUM to its path"),
    }
}

fn find_chromium() -> Option<PathBuf> {
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    const ELSEWHERE: [&str; 3] = [
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    ];
    let on_path = NAMES.into_iter().find_map(on_path);
    on_path.or_else(|| ELSEWHERE.into_iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// The program `name` in the directories of PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Makes sure, as far as that is possible, that Linux has a Vulkan driver: Mesa's, which needs no GPU. Whether there must be an
/// adapter now.
pub fn vulkan() -> bool {
    if cfg!(not(target_os = "linux")) {
        return false;
    }
    let driver = || {
        let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"].map(std::fs::read_dir);
        std::env::var_os("VK_DRIVER_FILES").is_some()
            || folders.into_iter().flatten().any(|mut files| files.next().is_some())
    };
    if !driver()
        && let Err(error) = install_debian(&["mesa-vulkan-drivers", "libvulkan1"], "A Vulkan driver")
    {
        note(format!("{error:#}"));
    }
    driver()
}

/// Installs Debian packages as root (or with a sudo that asks for nothing); elsewhere says what is needed.
fn install_debian(packages: &[&str], what: &str) -> Result<()> {
    let is_root = capture(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    let sudo = !is_root && capture(Command::new("sudo").args(["-n", "true"])).is_ok();
    if on_path("apt-get").is_none() || !(is_root || sudo) {
        bail!("{what} is needed and not found; please install it (on Debian: apt-get install {})", packages.join(" "));
    }
    step(format!("Installing {what}: apt-get install {}", packages.join(" ")));
    let apt = |args: &[&str]| {
        let mut command = Command::new(if sudo { "sudo" } else { "env" });
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(args);
        command.stdin(std::process::Stdio::null());
        command
    };
    if let Err(error) = run(&mut apt(&["update"])) {
        note(format!("{error}; trying with the package lists that are there"));
    }
    run(apt(&["install", "-y", "--no-install-recommends"]).args(packages))
}
