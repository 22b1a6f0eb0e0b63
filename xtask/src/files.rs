//! Files: their hashes, stamps that say that work was done, and copies.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A hash over everything that a piece of work depends on; equal fingerprints mean that its result can be used again.
#[derive(Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a text: a version, a command line.
    pub fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
        self
    }

    /// Adds the content of a file; a missing file counts too, as missing.
    pub fn file(self, path: &Path) -> Result<Self> {
        Ok(if path.is_file() { self.text(&sha256(path)?) } else { self.text("missing") })
    }

    /// Adds names and contents of all files below `dir`, leaving out directories called `node_modules` and `dist`.
    pub fn tree(mut self, dir: &Path) -> Result<Self> {
        for path in files_below(dir)? {
            self = self.text(&path.strip_prefix(dir).unwrap_or(&path).to_string_lossy()).file(&path)?;
        }
        Ok(self)
    }

    /// The hash, in hexadecimal.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file's content, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).with_context(|| format!("could not read {}", path.display()))?;
        if n == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..n]);
    }
}

/// All files below `dir`, sorted, leaving out directories called `node_modules` and `dist`.
pub fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        if !dir.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&dir).with_context(|| format!("could not list {}", dir.display()))? {
            let entry = entry?;
            let skipped = entry.file_name() == "node_modules" || entry.file_name() == "dist";
            if !entry.file_type()?.is_dir() {
                found.push(entry.path());
            } else if !skipped {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the file `stamp` holds exactly `fingerprint`: the work it stands for is done.
pub fn is_done(stamp: &Path, fingerprint: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|held| held == fingerprint)
}

/// Writes `fingerprint` into the file `stamp`.
pub fn mark_done(stamp: &Path, fingerprint: &str) -> Result<()> {
    write(stamp, fingerprint)
}

/// Writes a file, making its directory first.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    }
    fs::write(path, content).with_context(|| format!("could not write {}", path.display()))
}

/// Copies a file, making the destination's directory first.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("could not copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
