//! HTTP: small answers, and large files with resume and checks.

use super::{
    OnProgress, Progress,
    cache::{Repo, io_error, make_parent},
    client::is_etag,
};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};
use ureq::{
    Body,
    config::RedirectAuthHeaders,
    http::{HeaderMap, Response},
};

/// Times a download is tried without getting one byte further before it fails.
const TRIES: u32 = 5;
/// Wait before the first new try; doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 500 });
/// A connection that gives nothing for this long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes between two reports of progress, at most.
const CHUNK: usize = 256 << 10;
/// Longest answer that is not a file.
const MAX_ANSWER: u64 = 64 << 20;

/// A file to be had.
pub(super) struct File {
    /// As the repository names it.
    pub name: String,
    pub url: String,
    /// Tag of its contents: the sha256 for large files.
    pub etag: String,
    pub size: u64,
    /// Where it shall be.
    pub path: PathBuf,
}

/// A connection to hubs, with the user's token.
pub(super) struct Agent {
    agent: ureq::Agent,
    token: Option<String>,
}

impl Agent {
    pub fn new(token: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            // A renamed model is redirected on the hub, which needs the token; elsewhere it has no business.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("votive/", env!("CARGO_PKG_VERSION")))
            // Sizes and ranges must be those of the file, not of its compression.
            .accept_encoding("identity")
            .build();
        Self { agent: config.into(), token: token.map(|t| format!("Bearer {t}")) }
    }

    /// The whole answer to a GET, tried again on passing trouble when `patient`.
    pub fn get_small(&self, url: &str, patient: bool) -> Result<Vec<u8>> {
        let mut tries = Tries::new();
        loop {
            let answer = self.send(url, 0).and_then(|response| {
                let body = check_status(url, response)?.into_body().into_with_config().limit(MAX_ANSWER).read_to_vec();
                body.map_err(|e| http_error(url, None, e.to_string()))
            });
            match answer {
                Err(error) if patient && passing(&error) && tries.again() => {}
                answer => return answer,
            }
        }
    }

    /// Asks for the tag and size of a file that the list of files did not tell.
    pub fn describe(&self, name: String, url: String, path: PathBuf) -> Result<File> {
        let mut request = self.agent.head(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        // The hub itself answers with the tag, before it redirects to where the contents are.
        let request = request.config().max_redirects(0).max_redirects_will_error(false).build();
        let response = request.call().map_err(|e| http_error(&url, None, e.to_string()))?;
        let response = if response.status().is_redirection() { response } else { check_status(&url, response)? };
        let headers = response.headers();
        let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag")).map(plain_etag);
        let size = header(headers, "x-linked-size").or_else(|| header(headers, "content-length"));
        match (etag.filter(|e| is_etag(e)), size.and_then(|s| s.parse().ok())) {
            (Some(etag), Some(size)) => Ok(File { etag: etag.into(), size, name, url, path }),
            _ => Err(http_error(&url, Some(response.status().as_u16()), "the answer lacks the file's tag or size")),
        }
    }

    /// Downloads the files that are not there yet.
    pub fn download_all(&self, repo: &Repo, files: &[File], progress: &mut OnProgress<'_>) -> Result<()> {
        let size_total = files.iter().map(|f| f.size).sum();
        let mut before = 0;
        for file in files {
            let mut report = |done: u64| {
                let file_name = file.name.clone();
                let now = Progress { file: file_name, done, size: file.size, done_total: before + done, size_total };
                if progress(&now).is_break() { Err(Error::Aborted) } else { Ok(()) }
            };
            let there = fs::metadata(&file.path).is_ok_and(|m| m.len() == file.size);
            if !there {
                self.download(repo, file, &mut report)?;
            }
            report(file.size)?;
            before += file.size;
        }
        Ok(())
    }

    /// Downloads one file into its blob, with no other process doing the same, and links it.
    fn download(&self, repo: &Repo, file: &File, report: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let blob = repo.blob(&file.etag);
        let incomplete = blob.with_file_name(format!("{}.incomplete", file.etag));
        make_parent(&blob)?;
        let lock = repo.lock_file(&file.etag)?;
        while lock.try_lock().is_err_and(|e| matches!(e, fs::TryLockError::WouldBlock)) {
            report(size_of(&incomplete).min(file.size))?;
            sleep(Duration::from_millis(200));
        }
        // Whoever held the lock may have brought it.
        if size_of(&blob) != file.size || !blob.exists() {
            self.fill(file, &incomplete, report)?;
            fs::rename(&incomplete, &blob).map_err(|e| io_error(&blob, e))?;
        }
        repo.link(&file.etag, &file.path)
        // The lock goes with its file; the file stays, as the hub's own tools leave theirs.
    }

    /// Brings `incomplete` to its full size, going on where an earlier try ended, and checks it.
    fn fill(&self, file: &File, incomplete: &Path, report: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let mut tries = Tries::new();
        if size_of(incomplete) > file.size {
            remove(incomplete)?;
        }
        loop {
            let before = size_of(incomplete);
            // A file of no bytes is made by its first try, not asked for.
            let result = if before < file.size { self.go_on(file, incomplete, before, report) } else { Ok(()) };
            let now = size_of(incomplete);
            if now > before {
                tries = Tries::new();
            }
            match result {
                Ok(()) if now == file.size => break,
                Ok(()) if now > file.size => {
                    remove(incomplete)?;
                    let message = format!("gave {now} bytes; the file should have {}", file.size);
                    return Err(http_error(&file.url, Some(200), message));
                }
                // The answer ended early, though properly.
                Ok(()) if tries.again() => {}
                Ok(()) => {
                    let message = format!("gives {now} bytes; the file should have {}", file.size);
                    return Err(http_error(&file.url, Some(200), message));
                }
                Err(error) if passing(&error) && tries.again() => {}
                Err(error) => return Err(error),
            }
        }
        if !incomplete.exists() {
            fs::write(incomplete, []).map_err(|e| io_error(incomplete, e))?;
        }
        verify(file, incomplete)
    }

    /// One request for the bytes from `start`, appended as they come.
    fn go_on(
        &self,
        file: &File,
        incomplete: &Path,
        start: u64,
        report: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let response = self.send(&file.url, start)?;
        if response.status() == 416 {
            // The part that is here does not fit the file there: begin again.
            remove(incomplete)?;
            return Err(http_error(&file.url, Some(500), "refused to continue the download"));
        }
        let response = check_status(&file.url, response)?;
        let mut done = match (start, response.status().as_u16()) {
            (0, _) => 0,
            (_, 206) if range_start(response.headers()) == Some(start) => start,
            // The server gives the whole file (or another part of it): take it from its beginning.
            (_, 206) => {
                remove(incomplete)?;
                return Err(http_error(&file.url, Some(500), "gave another range than was asked for"));
            }
            _ => 0,
        };
        let mut options = OpenOptions::new();
        let options = if done > 0 { options.append(true) } else { options.write(true).truncate(true).create(true) };
        let mut out = options.open(incomplete).map_err(|e| io_error(incomplete, e))?;
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut chunk = vec![0; CHUNK];
        report(done)?;
        while done <= file.size {
            let got = match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(got) => got,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(http_error(&file.url, None, format!("the connection broke: {e}"))),
            };
            out.write_all(&chunk[..got]).map_err(|e| io_error(incomplete, e))?;
            done += got as u64;
            report(done.min(file.size))?;
        }
        out.sync_all().map_err(|e| io_error(incomplete, e))
    }

    /// A GET of the bytes from `start`.
    fn send(&self, url: &str, start: u64) -> Result<Response<Body>> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        request.call().map_err(|e| http_error(url, None, e.to_string()))
    }
}

/// Counts tries that brought nothing, and waits between them.
struct Tries {
    left: u32,
    wait: Duration,
}

impl Tries {
    fn new() -> Self {
        Self { left: TRIES, wait: FIRST_WAIT }
    }
    /// Waits before another try; false when there is none left.
    fn again(&mut self) -> bool {
        self.left -= 1;
        if self.left == 0 {
            return false;
        }
        sleep(self.wait);
        self.wait *= 2;
        true
    }
}

/// Compares the contents with the tag, where that is a sha256.
fn verify(file: &File, path: &Path) -> Result<()> {
    let is_sha256 = file.etag.len() == 64 && file.etag.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_sha256 {
        return Ok(());
    }
    let mut input = fs::File::open(path).map_err(|e| io_error(path, e))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut input, &mut hash).map_err(|e| io_error(path, e))?;
    let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if found.eq_ignore_ascii_case(&file.etag) {
        return Ok(());
    }
    remove(path)?;
    let message = format!("what came has sha256 {found}; it should be {}. It was thrown away: try again", file.etag);
    Err(http_error(&file.url, Some(200), message))
}

/// An error for any status but success; the message is the hub's own where it sends one.
fn check_status(url: &str, response: Response<Body>) -> Result<Response<Body>> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers();
    let told = [header(headers, "x-error-code"), header(headers, "x-error-message")];
    let told: Vec<_> = told.into_iter().flatten().collect();
    let message =
        if told.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {}", told.join(": ")) };
    Err(http_error(url, Some(status.as_u16()), message))
}

/// May trying again help?
fn passing(error: &Error) -> bool {
    matches!(error, Error::Http { status: None | Some(408 | 429 | 500..), .. })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A tag without its quotes and mark of weakness.
fn plain_etag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// Where the range of an answer begins (`Content-Range: bytes 100-199/200`).
fn range_start(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error(path, e)),
        _ => Ok(()),
    }
}

fn http_error(url: &str, status: Option<u16>, message: impl Into<String>) -> Error {
    Error::Http { url: url.into(), status, message: message.into() }
}
