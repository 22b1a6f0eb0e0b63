//! Asking a hub what a model consists of, and getting it.

use super::{
    ModelSpec, OnProgress,
    cache::{Repo, is_commit},
    download::{Agent, File},
    select_files,
};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::{env, fs, path::PathBuf};

/// A Hugging Face hub (or a mirror of it) and the cache of what came from it.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Address of the hub, without a slash at the end.
    pub endpoint: String,
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Access token for private and gated models.
    pub token: Option<String>,
    /// Use the cache only.
    pub offline: bool,
}

impl Hub {
    /// As the hub's own tools do:
    ///
    /// | variable | meaning | otherwise |
    /// | --- | --- | --- |
    /// | `HF_ENDPOINT` | address of the hub | `https://huggingface.co` |
    /// | `HF_HUB_CACHE` | folder of the cache | `$HF_HOME/hub` |
    /// | `HF_HOME` | folder of settings and caches | `huggingface` in `$XDG_CACHE_HOME` or `~/.cache` |
    /// | `HF_TOKEN` | access token | the file `$HF_TOKEN_PATH` or `$HF_HOME/token` |
    /// | `HF_HUB_OFFLINE` | `1`: use the cache only | |
    pub fn from_env() -> Result<Self> {
        let var = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
        let folder = |name: &str| var(name).map(PathBuf::from);
        let home = match folder("HF_HOME") {
            Some(home) => home,
            None => {
                let cache = folder("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
                let missing =
                    || Error::argument("hub", "there is no home directory: set HF_HOME to where models are kept");
                cache.ok_or_else(missing)?.join("huggingface")
            }
        };
        let saved = || {
            let path = folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
            fs::read_to_string(path).ok()
        };
        let token = var("HF_TOKEN").or_else(saved).map(|t| t.trim().to_string()).filter(|t| !t.is_empty());
        let endpoint = var("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let offline = var("HF_HUB_OFFLINE").is_some_and(|v| ["1", "true", "yes", "on"].contains(&&*v.to_lowercase()));
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            cache: folder("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            token,
            offline,
        })
    }

    /// Paths of the files of a model, downloaded where the cache does not have them.
    ///
    /// When the hub cannot be reached, what the cache has of the model is used.
    pub fn model(&self, spec: &ModelSpec, progress: &mut OnProgress<'_>) -> Result<Vec<PathBuf>> {
        let repo = Repo::new(&self.cache, &spec.id);
        if self.offline {
            return self.cached(&repo, spec).ok_or_else(|| {
                let message = format!("is not in the cache {}, and HF_HUB_OFFLINE is set", self.cache.display());
                Error::argument("model", format!("{:?} {message}", spec.id))
            });
        }
        let agent = Agent::new(self.token.as_deref());
        let cached = self.cached(&repo, spec);
        let listing = match (self.list(&agent, spec, cached.is_none()), cached) {
            (Ok(listing), _) => listing,
            // No answer at all, or a hub in trouble: what is here will do.
            (Err(Error::Http { status: None | Some(500..), .. }), Some(cached)) => return Ok(cached),
            (Err(error), _) => return Err(error),
        };
        let names: Vec<_> = listing.siblings.iter().map(|f| f.rfilename.clone()).collect();
        let chosen = select_files(&names, spec.pattern.as_deref())?;
        let mut files = Vec::with_capacity(chosen.len());
        let mut paths = Vec::with_capacity(chosen.len());
        for name in chosen {
            let path = repo.snapshot(&listing.sha, &name)?;
            let url = format!("{}/{}/resolve/{}/{}", self.endpoint, spec.id, listing.sha, escape(&name, true));
            let file = match listing.siblings.iter().find(|f| f.rfilename == name).and_then(Sibling::contents) {
                Some((etag, size)) => File { name, url, etag, size, path: path.clone() },
                None => agent.describe(name, url, path.clone()).map_err(|e| self.explain(e, spec))?,
            };
            files.push(file);
            paths.push(path);
        }
        // Of a gated model anyone may see the list; it is the files that are refused.
        agent.download_all(&repo, &files, progress).map_err(|e| self.explain(e, spec))?;
        repo.set_commit(&spec.revision, &listing.sha)?;
        Ok(paths)
    }

    /// What the cache has of a model, if that is a whole model.
    fn cached(&self, repo: &Repo, spec: &ModelSpec) -> Option<Vec<PathBuf>> {
        let commit = repo.commit(&spec.revision)?;
        let chosen = select_files(&repo.files(&commit), spec.pattern.as_deref()).ok()?;
        chosen.iter().map(|name| repo.snapshot(&commit, name).ok()).collect()
    }

    fn list(&self, agent: &Agent, spec: &ModelSpec, patient: bool) -> Result<Listing> {
        let revision = escape(&spec.revision, false);
        let url = format!("{}/api/models/{}/revision/{revision}?blobs=true", self.endpoint, spec.id);
        let json = agent.get_small(&url, patient).map_err(|e| self.explain(e, spec))?;
        let fail = |message: String| Error::Http { url: url.clone(), status: Some(200), message };
        let listing: Listing =
            serde_json::from_slice(&json).map_err(|e| fail(format!("the answer is not a list of files: {e}")))?;
        if !is_commit(&listing.sha) {
            return Err(fail(format!("the answer names no commit, but {:?}", listing.sha)));
        }
        Ok(listing)
    }

    /// Says what a refusal means to the user.
    fn explain(&self, error: Error, spec: &ModelSpec) -> Error {
        let Error::Http { url, status, message } = error else { return error };
        let (id, page) = (&spec.id, format!("{}/{}", self.endpoint, spec.id));
        let gated = message.to_ascii_lowercase().contains("gated");
        let message = match status {
            Some(401 | 403) if gated && self.token.is_some() => {
                format!("{id} is gated: accept its conditions at {page} with the account of your token ({message})")
            }
            Some(401 | 403) if gated => {
                format!(
                    "{id} is gated: accept its conditions at {page}, then set HF_TOKEN to a token of yours ({message})"
                )
            }
            Some(401) if self.token.is_none() => {
                format!("{id} does not exist or is private; for a private model set HF_TOKEN ({message})")
            }
            Some(401) => format!("{id} does not exist, or your token is not valid ({message})"),
            Some(403) => format!("your token does not give access to {id} ({message})"),
            Some(404) if !message.contains("EntryNotFound") => {
                format!("there is no model {id} with revision {:?} ({message})", spec.revision)
            }
            _ => message,
        };
        Error::Http { url, status, message }
    }
}

/// The hub's answer about one revision of a model.
#[derive(Deserialize)]
struct Listing {
    /// Its commit.
    sha: String,
    siblings: Vec<Sibling>,
}

/// One file of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

/// A large file is kept by its sha256.
#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Sibling {
    /// Tag and size of its contents, where the hub tells them in the list.
    fn contents(&self) -> Option<(String, u64)> {
        match &self.lfs {
            Some(lfs) => Some((lfs.sha256.clone(), lfs.size)),
            None => Some((self.blob_id.clone()?, self.size?)),
        }
        .filter(|(etag, _)| is_etag(etag))
    }
}

/// Could this be the name of a blob?
pub(super) fn is_etag(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Percent-encodes a part of an address, or with `slashes` a path.
fn escape(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            b'/' if slashes => out.push('/'),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}
