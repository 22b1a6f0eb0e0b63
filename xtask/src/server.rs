//! A small static HTTP server for the demo: one thread per connection, byte ranges, validators, the right types.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_secs(30);
/// How many bytes of headers a request may have.
const MAX_HEADERS: u64 = 32 << 10;

/// What is served.
#[derive(Default)]
pub struct Site {
    /// URL prefixes (`/models/`) and the directories whose files are below them; the first that matches counts.
    pub directories: Vec<(String, PathBuf)>,
    /// URL paths and the JSON text that is there.
    pub documents: Vec<(String, String)>,
    /// Whether to send the headers that make pages cross-origin isolated (for shared memory).
    pub isolated: bool,
}

/// Listens on `127.0.0.1:port`, or on a free port when that is taken.
pub fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port))
        .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
        .context("could not listen on 127.0.0.1")
}

/// Serves `site` until the program ends.
pub fn serve(listener: &TcpListener, site: Site) -> Result<()> {
    let site = Arc::new(site);
    for stream in listener.incoming() {
        let (stream, site) = (stream.context("could not accept a connection")?, Arc::clone(&site));
        // A connection that breaks is the browser's choice, for instance when a download is aborted.
        std::thread::spawn(move || drop(converse(&stream, &site)));
    }
    Ok(())
}

/// What a request asks for, as far as files need it.
struct Request {
    is_head: bool,
    /// The URL's path as it was sent.
    target: String,
    /// The same, unescaped.
    path: String,
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
    keep_alive: bool,
}

fn converse(stream: &TcpStream, site: &Site) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = match read_request(&mut reader)? {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(status) => return respond_text(stream, site, status, false),
        };
        respond(stream, site, &request)?;
        if !request.keep_alive {
            return Ok(());
        }
    }
}

/// Reads a request; `None` at the end of the connection, the status to answer with when it cannot be served.
fn read_request(reader: &mut impl BufRead) -> std::io::Result<Result<Option<Request>, &'static str>> {
    let mut reader = reader.take(MAX_HEADERS);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(Ok(None));
    }
    let mut words = line.split_whitespace();
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version)) = (method, target, version) else {
        return Ok(Err("400 Bad Request"));
    };
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let Some(path) = percent_decode(target) else { return Ok(Err("400 Bad Request")) };
    let mut request = Request {
        is_head: method == "HEAD",
        target: target.to_owned(),
        path,
        range: None,
        if_range: None,
        if_none_match: None,
        keep_alive: version == "HTTP/1.1",
    };
    let is_known = matches!(method, "GET" | "HEAD");
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Ok(Err("400 Bad Request"));
        }
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value),
            "if-range" => request.if_range = Some(value),
            "if-none-match" => request.if_none_match = Some(value),
            "connection" if value.eq_ignore_ascii_case("close") => request.keep_alive = false,
            _ => {}
        }
    }
    Ok(if is_known { Ok(Some(request)) } else { Err("405 Method Not Allowed") })
}

/// The text of a URL path, `%xx` resolved; `None` when that is not UTF-8.
fn percent_decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let escaped = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

/// The file or directory that a URL path names, if it is inside of a served directory.
fn resolve(site: &Site, path: &str) -> Option<PathBuf> {
    let (prefix, dir) = site.directories.iter().find(|(prefix, _)| path.starts_with(prefix))?;
    let relative = Path::new(&path[prefix.len()..]);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = dir.join(relative);
    let file = if path.ends_with('/') { file.join("index.html") } else { file };
    file.exists().then_some(file)
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "webmanifest" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "wav" => "audio/wav",
        "txt" | "md" | "ts" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn head(site: &Site, status: &str, headers: &str) -> String {
    let isolation = if site.isolated {
        "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Embedder-Policy: require-corp\r\n"
    } else {
        ""
    };
    format!("HTTP/1.1 {status}\r\n{headers}Cache-Control: no-cache\r\n{isolation}\r\n")
}

fn respond_text(mut stream: &TcpStream, site: &Site, status: &str, is_head: bool) -> std::io::Result<()> {
    let headers = format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", status.len());
    stream.write_all(head(site, status, &headers).as_bytes())?;
    if is_head { Ok(()) } else { stream.write_all(status.as_bytes()) }
}

fn respond(mut stream: &TcpStream, site: &Site, request: &Request) -> std::io::Result<()> {
    if let Some((_, text)) = site.documents.iter().find(|(path, _)| *path == request.path) {
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", text.len());
        stream.write_all(head(site, "200 OK", &headers).as_bytes())?;
        return if request.is_head { Ok(()) } else { stream.write_all(text.as_bytes()) };
    }
    let Some(path) = resolve(site, &request.path) else {
        return respond_text(stream, site, "404 Not Found", request.is_head);
    };
    if path.is_dir() {
        // Relative links in a page need the directory's slash.
        let headers = format!("Location: {}/\r\nContent-Length: 0\r\n", request.target);
        return stream.write_all(head(site, "301 Moved Permanently", &headers).as_bytes());
    }
    let mut file = File::open(&path)?;
    let metadata = file.metadata()?;
    let (size, modified) = (metadata.len(), metadata.modified()?);
    let age = modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    let tag = format!("\"{size:x}-{age:x}\"");
    let mut headers = format!("ETag: {tag}\r\nAccept-Ranges: bytes\r\n");
    if request.if_none_match.as_ref().is_some_and(|wanted| wanted.contains(&tag)) {
        return stream.write_all(head(site, "304 Not Modified", &headers).as_bytes());
    }
    let range = request.range.as_deref().filter(|_| request.if_range.as_ref().is_none_or(|wanted| *wanted == tag));
    let (status, start, length) = match range.map(|range| parse_range(range, size)) {
        None | Some(Range::Whole) => ("200 OK", 0, size),
        Some(Range::Part(start, end)) => {
            headers += &format!("Content-Range: bytes {start}-{end}/{size}\r\n");
            ("206 Partial Content", start, end - start + 1)
        }
        Some(Range::Outside) => {
            headers += &format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
            return stream.write_all(head(site, "416 Range Not Satisfiable", &headers).as_bytes());
        }
    };
    headers += &format!("Content-Type: {}\r\nContent-Length: {length}\r\n", media_type(&path));
    stream.write_all(head(site, status, &headers).as_bytes())?;
    if request.is_head {
        return Ok(());
    }
    file.seek(SeekFrom::Start(start))?;
    std::io::copy(&mut file.take(length), &mut stream)?;
    Ok(())
}

/// Which bytes a `Range` header asks for.
#[derive(Debug, PartialEq)]
enum Range {
    /// All: there is no range, or one of a kind that may be ignored (several ranges).
    Whole,
    /// From the first to the last byte, both counted.
    Part(u64, u64),
    /// Bytes that the file does not have.
    Outside,
}

fn parse_range(header: &str, size: u64) -> Range {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Range::Whole;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), last) if last.is_ok() || header.ends_with('-') => {
            let last = last.unwrap_or(u64::MAX).min(size.saturating_sub(1));
            if first <= last && first < size { Range::Part(first, last) } else { Range::Outside }
        }
        (Err(_), Ok(count)) if first.is_empty() => {
            if count > 0 && size > 0 {
                Range::Part(size.saturating_sub(count), size - 1)
            } else {
                Range::Outside
            }
        }
        _ => Range::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_in_rfc_9110() {
        assert_eq!(parse_range("bytes=0-9", 100), Range::Part(0, 9));
        assert_eq!(parse_range("bytes=90-200", 100), Range::Part(90, 99));
        assert_eq!(parse_range("bytes=90-", 100), Range::Part(90, 99));
        assert_eq!(parse_range("bytes=-10", 100), Range::Part(90, 99));
        assert_eq!(parse_range("bytes=-200", 100), Range::Part(0, 99));
        assert_eq!(parse_range("bytes=100-", 100), Range::Outside);
        assert_eq!(parse_range("bytes=0-", 0), Range::Outside);
        assert_eq!(parse_range("bytes=0-1,5-6", 100), Range::Whole);
        assert_eq!(parse_range("lines=0-1", 100), Range::Whole);
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(percent_decode("/a%20b%C3%A9").as_deref(), Some("/a bé"));
        assert_eq!(percent_decode("/100%").as_deref(), Some("/100%"));
        assert_eq!(percent_decode("/%ff"), None);
    }

    /// A conversation over a real socket: a file, a part of it, one that is not served, and one above the directory.
    #[test]
    fn files_are_served() {
        let dir = std::env::temp_dir().join(format!("votive-xtask-server-{}", std::process::id()));
        crate::files::write(&dir.join("site/a.wasm"), "0123456789").unwrap();
        crate::files::write(&dir.join("site/chat/index.html"), "chat").unwrap();
        crate::files::write(&dir.join("secret.txt"), "no").unwrap();
        let listener = listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site { directories: vec![("/".into(), dir.join("site"))], isolated: true, ..Site::default() };
        std::thread::spawn(move || serve(&listener, site));
        let ask = |request: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "{request}\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let whole = ask("GET /a.wasm HTTP/1.1");
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\n0123456789"), "{whole}");
        assert!(whole.contains("Content-Type: application/wasm\r\n"), "{whole}");
        assert!(whole.contains("Cross-Origin-Opener-Policy: same-origin\r\n"), "{whole}");
        let part = ask("GET /a.wasm HTTP/1.1\r\nRange: bytes=2-4");
        assert!(part.starts_with("HTTP/1.1 206") && part.contains("Content-Range: bytes 2-4/10"), "{part}");
        assert!(part.ends_with("\r\n\r\n234"), "{part}");
        assert!(ask("GET /chat/?model=1 HTTP/1.1").ends_with("\r\n\r\nchat"));
        assert!(ask("GET /chat HTTP/1.1").contains("Location: /chat/\r\n"));
        assert!(ask("HEAD /a.wasm HTTP/1.1").ends_with("\r\n\r\n"));
        assert!(ask("GET /b.wasm HTTP/1.1").starts_with("HTTP/1.1 404"));
        assert!(ask("GET /../secret.txt HTTP/1.1").starts_with("HTTP/1.1 404"));
        assert!(ask("GET /%2e%2e/secret.txt HTTP/1.1").starts_with("HTTP/1.1 404"));
        assert!(ask("POST /a.wasm HTTP/1.1").starts_with("HTTP/1.1 405"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
