//! Where files come from: a folder, or a Hugging Face hub through the cache that the hub's own tools use.
//!
//! [`resolve_model`] takes what a user types and gives the paths of the files to open.
//!
//! The client is written here on `ureq`, not taken from the `hf-hub` crate: that one brings 326 crates and 115 CPU
//! seconds of build (version 1.0, measured).

mod select;

#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod download;

#[cfg(feature = "hub")]
pub use client::Hub;
pub use select::{local_model, select_files};

use crate::error::{Error, Result};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// How far downloads are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file being downloaded, as the repository names it.
    pub file: String,
    /// Bytes of it that are there, those of an earlier run included.
    pub done: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes of all files asked for that are there.
    pub done_total: u64,
    /// Bytes of all files asked for.
    pub size_total: u64,
}

/// Is told of progress; `Break` stops the download (what is there stays, and is resumed the next time).
pub type OnProgress<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// A model on the hub: `owner/name[@revision][:file or pattern]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpec {
    /// `owner/name`.
    pub id: String,
    /// A branch, tag or commit; `main` where none is given.
    pub revision: String,
    /// A file, or what its name must contain (`Q8_0`), or a pattern with `*`.
    pub pattern: Option<String>,
}

impl std::str::FromStr for ModelSpec {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let fail =
            |why: &str| Error::argument("model", format!("{text:?} {why}; owner/name[@revision][:file] is expected"));
        let (rest, pattern) = match text.split_once(':') {
            Some((rest, pattern)) if !pattern.is_empty() => (rest, Some(pattern.to_string())),
            Some(_) => return Err(fail("has an empty file pattern")),
            None => (text, None),
        };
        let (id, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let plain = |s: &str| {
            let allowed = s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            allowed && (1..=96).contains(&s.len()) && !s.contains("..") && !s.contains("--")
        };
        match id.split_once('/') {
            Some((owner, name)) if plain(owner) && plain(name) => {}
            _ => return Err(fail("is neither a file or folder here nor the id of a model")),
        }
        if !revision.split('/').all(plain) {
            return Err(fail("has a revision that no repository can have"));
        }
        Ok(Self { id: id.into(), revision: revision.into(), pattern })
    }
}

/// The files of the model that `spec` names, ready to be opened with
/// [`FileSource`](crate::format::FileSource) and given to [`Checkpoint::open`](crate::format::Checkpoint::open).
///
/// `spec` is a file, a folder (optionally `folder:pattern`), or `owner/name[@revision][:file or pattern]` on the hub.
/// A path that exists wins. Files of the hub are downloaded unless the cache has them; see [`Hub`] for the
/// environment variables that say where from and where to.
///
/// # Errors
/// [`Error::Argument`] when nothing fits `spec`, [`Error::Http`] when the hub refuses or cannot be reached,
/// [`Error::Aborted`] when `progress` says so.
#[cfg_attr(not(feature = "hub"), allow(unused_variables))]
pub fn resolve_model(spec: &str, progress: &mut OnProgress<'_>) -> Result<Vec<PathBuf>> {
    if let Some(files) = local_model(spec)? {
        return Ok(files);
    }
    if looks_like_path(spec) {
        return Err(Error::Io { path: spec.into(), source: std::io::ErrorKind::NotFound.into() });
    }
    #[cfg(feature = "hub")]
    {
        Hub::from_env()?.model(&spec.parse()?, progress)
    }
    #[cfg(not(feature = "hub"))]
    Err(Error::Unsupported(format!("{spec:?} is no file or folder; to download models, build with feature `hub`")))
}

/// Was a path meant, though there is nothing there?
fn looks_like_path(spec: &str) -> bool {
    let weights = Path::new(spec).extension().is_some_and(|e| e == "gguf" || e == "safetensors");
    spec.starts_with(['/', '.', '~', '\\']) || (weights && !spec.contains(':'))
}

#[cfg(all(test, feature = "hub"))]
mod tests;
