//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::capture;

/// The repository and cargo's build directory.
pub struct Workspace {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target directory, wherever it was configured to be.
    pub target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was compiled in.
    pub fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?.to_path_buf();
        let mut metadata = cargo();
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root);
        let metadata: serde_json::Value = serde_json::from_str(&capture(&mut metadata)?)?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names a target directory")?.into();
        Ok(Self { root, target })
    }

    /// Cargo, run in the repository's root.
    pub fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// The npm package: its sources and, under `dist/`, what is built.
    pub fn package(&self) -> PathBuf {
        self.root.join("pkg-template")
    }

    /// Where `xtask` keeps what it made and may use again.
    pub fn scratch(&self) -> PathBuf {
        self.target.join("xtask")
    }
}

/// The cargo that started us, without the settings of our own build that it put into the environment: those would make
/// the cargo that we start believe that it is a part of that build.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// The directory of models: `$VOTIVE_MODELS`, else `votive/models` in the user's cache directory.
pub fn models_dir() -> Result<PathBuf> {
    match std::env::var_os("VOTIVE_MODELS") {
        Some(dir) => Ok(std::path::absolute(dir)?),
        None => Ok(cache_dir()?.join("models")),
    }
}

/// `votive` in the user's cache directory.
pub fn cache_dir() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || from("HOME").or_else(|| from("USERPROFILE")).map(|home| home.join(".cache"));
    let base = from("XDG_CACHE_HOME").or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("votive"))
}
