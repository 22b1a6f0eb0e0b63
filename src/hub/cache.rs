//! The cache on disk, laid out as the hub's own tools do, so that each finds what the other has downloaded:
//!
//! ```text
//! models--owner--name/refs/main                  the commit that a branch stood at
//! models--owner--name/blobs/<etag>               contents
//! models--owner--name/blobs/<etag>.incomplete    a download under way, or cut
//! models--owner--name/snapshots/<commit>/<file>  links to blobs
//! .locks/models--owner--name/<etag>.lock         held while a blob is downloaded
//! ```

use crate::error::{Error, Result};
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// One model's folder in the cache.
pub(super) struct Repo {
    root: PathBuf,
    folder: String,
}

impl Repo {
    /// `cache` is the folder of all models (`~/.cache/huggingface/hub`), `id` is `owner/name`, already checked.
    pub fn new(cache: &Path, id: &str) -> Self {
        Self { root: cache.into(), folder: format!("models--{}", id.replace('/', "--")) }
    }
    fn path(&self) -> PathBuf {
        self.root.join(&self.folder)
    }
    /// The commit that `revision` stood at when it was last asked for; a full commit is its own answer.
    pub fn commit(&self, revision: &str) -> Option<String> {
        let noted = fs::read_to_string(self.path().join("refs").join(revision)).ok();
        let commit = noted.map(|c| c.trim().to_string()).unwrap_or_else(|| revision.to_string());
        is_commit(&commit).then_some(commit)
    }
    /// Notes the commit that `revision` stands at.
    pub fn set_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit {
            return Ok(());
        }
        let path = self.path().join("refs").join(revision);
        make_parent(&path)?;
        // Each call has a file of its own: threads may note the same at once.
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{call}.new", std::process::id()));
        fs::write(&temporary, commit).and_then(|()| fs::rename(&temporary, &path)).map_err(|e| io_error(&path, e))
    }
    /// Names of the files that are there of a commit, folders separated by `/`.
    pub fn files(&self, commit: &str) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.path().join("snapshots").join(commit), "", &mut names, 0);
        names.sort();
        names
    }
    /// Where a file of a commit is to be found; an error when the name would lead out of the folder.
    pub fn snapshot(&self, commit: &str, file: &str) -> Result<PathBuf> {
        let relative = Path::new(file);
        let inside = relative.components().all(|c| matches!(c, Component::Normal(_)));
        if !inside || file.is_empty() || file.contains('\\') {
            return Err(Error::format(file, "is no name that a file of a repository can have"));
        }
        Ok(self.path().join("snapshots").join(commit).join(relative))
    }
    /// Where the contents with this tag are kept.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.path().join("blobs").join(etag)
    }
    /// Opens the lock file of a blob.
    pub fn lock_file(&self, etag: &str) -> Result<fs::File> {
        let path = self.root.join(".locks").join(&self.folder).join(format!("{etag}.lock"));
        make_parent(&path)?;
        fs::OpenOptions::new().create(true).append(true).open(&path).map_err(|e| io_error(&path, e))
    }
    /// Makes `pointer` lead to the blob: a relative link, or the blob itself where links cannot be made.
    pub fn link(&self, etag: &str, pointer: &Path) -> Result<()> {
        let blob = self.blob(etag);
        make_parent(pointer)?;
        if pointer.symlink_metadata().is_ok() {
            if pointer.canonicalize().ok() == blob.canonicalize().ok() && blob.exists() {
                return Ok(());
            }
            fs::remove_file(pointer).map_err(|e| io_error(pointer, e))?;
        }
        let folders = pointer.strip_prefix(self.path()).map_or(0, |p| p.components().count());
        let mut target = PathBuf::new();
        (1..folders).for_each(|_| target.push(".."));
        target.push("blobs");
        target.push(etag);
        match symlink(&target, pointer) {
            Ok(()) => Ok(()),
            // Another process was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(_) => fs::rename(&blob, pointer).map_err(|e| io_error(pointer, e)),
        }
    }
}

/// A full commit id?
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}
#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>, depth: usize) {
    const DEEPEST: usize = 16;
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = format!("{prefix}{}", name.to_string_lossy());
        // `is_file` follows links: one whose blob is gone is not there.
        if path.is_file() {
            names.push(name);
        } else if path.is_dir() && depth < DEEPEST {
            collect(&path, &(name + "/"), names, depth + 1);
        }
    }
}

/// Creates the folder that `path` lies in.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(|e| io_error(folder, e)),
        None => Ok(()),
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io { path: path.display().to_string(), source }
}
