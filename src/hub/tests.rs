//! The client against a hub on this machine, which can misbehave.

use super::*;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does beside answering properly.
#[derive(Default)]
struct Mischief {
    /// Close the connection after this many bytes of a file's body, once each.
    cuts: Vec<usize>,
    /// Ignore `Range`.
    no_ranges: bool,
    /// Answer 503 this many times.
    busy: usize,
    /// Answer everything so: status and headers.
    refuse: Option<(u16, &'static str)>,
    /// Refuse the files only, not the list of them.
    list_is_open: bool,
    /// Give files these contents instead.
    contents: Option<Vec<u8>>,
    /// Redirect files to this address instead of to this server.
    elsewhere: Option<String>,
    /// Do not tell sizes and tags in the list of files.
    plain_list: bool,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    mischief: Mischief,
    /// `METHOD path [with token] [range]` of each request, in order.
    log: Vec<String>,
}

struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

impl Server {
    fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files = files.iter().map(|(name, bytes)| (name.to_string(), bytes.clone())).collect();
        let state = Arc::new(Mutex::new(State { files, ..State::default() }));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, shared) = (stream.unwrap(), shared.clone());
                thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let Some(Ok(first)) = lines.next() else { return };
                    let headers: Vec<String> = lines.map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
                    let reply = answer(&mut shared.lock().unwrap(), &first, &headers);
                    let _ = stream.write_all(&reply);
                });
            }
        });
        Self { address, state }
    }
    fn misbehave(&self, mischief: Mischief) {
        self.state.lock().unwrap().mischief = mischief;
    }
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
    /// Requests for the contents of files.
    fn downloads(&self) -> usize {
        self.log().iter().filter(|l| l.contains("/cdn/")).count()
    }
}

fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}").into_bytes();
    if !headers.contains("Content-Length") {
        out.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    out.extend(b"\r\n");
    out.extend(body);
    out
}

fn answer(state: &mut State, first: &str, headers: &[String]) -> Vec<u8> {
    let value = |name: &str| {
        headers.iter().find_map(|h| {
            let (key, value) = h.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_string())
        })
    };
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let range = value("range");
    let token = value("authorization").map_or("", |_| "with token ");
    state.log.push(format!("{method} {path} {token}{}", range.clone().unwrap_or_default()));
    let open = state.mischief.list_is_open && path.starts_with("/api/");
    if let Some((status, headers)) = state.mischief.refuse.filter(|_| !open) {
        return reply(status, headers, b"");
    }
    if state.mischief.busy > 0 {
        state.mischief.busy -= 1;
        return reply(503, "", b"");
    }
    if path.starts_with("/api/models/owner/name/revision/") {
        let plain = state.mischief.plain_list;
        let siblings = state.files.iter().map(|(name, bytes)| {
            if plain {
                serde_json::json!({"rfilename": name})
            } else if name.ends_with("json") {
                serde_json::json!({"rfilename": name, "size": bytes.len(), "blobId": &sha256(bytes)[..40]})
            } else {
                let lfs = serde_json::json!({"sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 134});
                serde_json::json!({"rfilename": name, "size": bytes.len(), "blobId": "feed", "lfs": lfs})
            }
        });
        let siblings: Vec<_> = siblings.collect();
        return reply(200, "", serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string().as_bytes());
    }
    // Like the hub: files are redirected, by a relative address, to where their contents are.
    if let Some(name) = path.strip_prefix(&format!("/owner/name/resolve/{COMMIT}/")) {
        let Some(bytes) = state.files.get(name) else { return reply(404, "X-Error-Code: EntryNotFound\r\n", b"") };
        let tags = format!("X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\n", sha256(bytes), bytes.len());
        let host = state.mischief.elsewhere.clone().unwrap_or_default();
        return reply(302, &format!("Location: {host}/cdn/{name}\r\n{tags}Content-Length: 0\r\n"), b"");
    }
    let Some(bytes) = path.strip_prefix("/cdn/").and_then(|name| state.files.get(name)) else {
        return reply(404, "X-Error-Code: RepoNotFound\r\nX-Error-Message: Repository not found\r\n", b"");
    };
    let bytes = state.mischief.contents.as_ref().unwrap_or(bytes);
    let range = range.filter(|_| !state.mischief.no_ranges);
    let start: usize = range.map_or(0, |r| r.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap());
    let length = format!("Content-Length: {}\r\n", bytes.len() - start);
    let mut out = match start {
        0 => reply(200, &length, &bytes[start..]),
        _ => {
            let range = format!("Content-Range: bytes {start}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            reply(206, &(length + &range), &bytes[start..])
        }
    };
    if let Some(cut) = state.mischief.cuts.pop() {
        let head = out.len() - (bytes.len() - start);
        out.truncate(head + cut.min(bytes.len() - start));
    }
    out
}

fn weights() -> Vec<u8> {
    (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// A server with a GGUF, an empty cache, and a hub that knows both.
fn setup() -> (Server, tempfile::TempDir, Hub) {
    let files = [("m-Q8_0.gguf", weights()), ("m-Q2_K.gguf", vec![1; 5000]), ("config.json", b"{}".to_vec())];
    let server = Server::start(&files);
    let folder = tempfile::tempdir().unwrap();
    let endpoint = server.address.clone();
    let hub = Hub { endpoint, cache: folder.path().join("hub"), token: None, offline: false };
    (server, folder, hub)
}

fn get(hub: &Hub, spec: &str) -> Result<Vec<PathBuf>> {
    hub.model(&spec.parse()?, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn downloads_once_into_the_shared_layout() {
    let (server, _folder, hub) = setup();
    let mut seen = Vec::new();
    let paths = hub.model(&"owner/name".parse().unwrap(), &mut |p| {
        seen.push(p.clone());
        ControlFlow::Continue(())
    });
    let paths = paths.unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), weights());
    let root = hub.cache.join("models--owner--name");
    assert_eq!(paths, [root.join("snapshots").join(COMMIT).join("m-Q8_0.gguf")]);
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    let link = fs::read_link(&paths[0]).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(sha256(&weights())));
    assert!(!root.join("blobs").join(sha256(&weights()) + ".incomplete").exists());
    assert!(seen.windows(2).all(|p| p[0].done <= p[1].done), "progress never goes back");
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.size, last.done_total, last.size_total), (1_000_000, 1_000_000, 1_000_000, 1_000_000));
    assert_eq!(server.downloads(), 1);

    assert_eq!(get(&hub, "owner/name").unwrap(), paths);
    assert_eq!(server.downloads(), 0, "the second time, the cache has it");
    let small = get(&hub, "owner/name@main:Q2_K").unwrap();
    assert_eq!(fs::read(&small[0]).unwrap(), [1; 5000]);
}

#[test]
fn resumes_where_the_connection_broke() {
    let (server, _folder, hub) = setup();
    server.misbehave(Mischief { cuts: vec![300_000, 1, 0, 400_000], ..Mischief::default() });
    let paths = get(&hub, "owner/name").unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), weights());
    let ranges: Vec<_> = server.log().into_iter().filter(|l| l.contains("/cdn/")).collect();
    assert_eq!(ranges.len(), 5);
    assert!(ranges[1].ends_with("bytes=400000-") && ranges[4].ends_with("bytes=700001-"), "{ranges:?}");
}

#[test]
fn resumes_after_an_abort_in_a_later_run() {
    let (server, _folder, hub) = setup();
    let spec: ModelSpec = "owner/name".parse().unwrap();
    let result = hub.model(&spec, &mut |p| if p.done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    assert!(matches!(result, Err(Error::Aborted)), "{result:?}");
    server.log();
    let mut first = None;
    hub.model(&spec, &mut |p| {
        first.get_or_insert(p.done);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(first.unwrap() > 0, "begins with what was there");
    assert!(server.log().iter().any(|l| l.contains("bytes=")));
}

#[test]
fn starts_again_when_ranges_are_ignored() {
    let (server, _folder, hub) = setup();
    server.misbehave(Mischief { cuts: vec![400_000], no_ranges: true, ..Mischief::default() });
    let paths = get(&hub, "owner/name").unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), weights());
}

#[test]
fn tries_again_when_the_hub_is_busy_but_not_for_ever() {
    let (server, _folder, hub) = setup();
    server.misbehave(Mischief { busy: 3, ..Mischief::default() });
    get(&hub, "owner/name").unwrap();
    server.misbehave(Mischief { busy: 100, ..Mischief::default() });
    get(&hub, "owner/name").expect("the cache serves while the hub is in trouble");
    let error = get(&hub, "owner/name@other").unwrap_err();
    assert!(matches!(error, Error::Http { status: Some(503), .. }), "{error}");
}

#[test]
fn throws_away_what_is_not_the_file() {
    let (server, _folder, hub) = setup();
    let mut wrong = weights();
    wrong[123] ^= 1;
    for (contents, expected) in
        [(wrong, "sha256"), (vec![0; 2_000_000], "should have 1000000"), (vec![0; 10], "should have 1000000")]
    {
        server.misbehave(Mischief { contents: Some(contents.clone()), ..Mischief::default() });
        let error = get(&hub, "owner/name").unwrap_err();
        assert!(error.to_string().contains(expected), "{} bytes: {error}", contents.len());
        assert!(!hub.cache.join("models--owner--name/snapshots").join(COMMIT).join("m-Q8_0.gguf").exists());
        fs::remove_dir_all(hub.cache.join("models--owner--name/blobs")).unwrap();
    }
    server.misbehave(Mischief::default());
    get(&hub, "owner/name").unwrap();
}

#[test]
fn asks_for_tags_that_the_list_does_not_tell() {
    let (server, _folder, hub) = setup();
    server.misbehave(Mischief { plain_list: true, ..Mischief::default() });
    let paths = get(&hub, "owner/name").unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), weights());
    assert!(server.log().iter().any(|l| l.starts_with("HEAD ")));
}

#[test]
fn refusals_say_what_to_do() {
    let (server, _folder, mut hub) = setup();
    let gated = "X-Error-Code: GatedRepo\r\nX-Error-Message: Access to model owner/name is restricted\r\n";
    let unknown = "X-Error-Code: RepoNotFound\r\n";
    for list_is_open in [true, false] {
        server.misbehave(Mischief { refuse: Some((403, gated)), list_is_open, ..Mischief::default() });
        let error = get(&hub, "owner/name").unwrap_err();
        assert!(error.to_string().contains("owner/name is gated: accept its conditions at http"), "{error}");
    }
    for (token, status, headers, expected) in [
        (None, 401, gated, "then set HF_TOKEN"),
        (Some("t"), 403, gated, "accept its conditions"),
        (None, 401, unknown, "does not exist or is private"),
        (Some("t"), 401, unknown, "your token is not valid"),
        (Some("t"), 403, "", "does not give access"),
        (None, 404, unknown, "no model owner/name with revision \"main\""),
    ] {
        server.misbehave(Mischief { refuse: Some((status, headers)), ..Mischief::default() });
        hub.token = token.map(String::from);
        let error = get(&hub, "owner/name").unwrap_err();
        assert!(matches!(error, Error::Http { status: Some(s), .. } if s == status), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    server.misbehave(Mischief::default());
    let error = get(&hub, "other/name").unwrap_err();
    assert!(error.to_string().contains("Repository not found"), "{error}");
    let error = get(&hub, "owner/name:Q7").unwrap_err();
    assert!(error.to_string().contains("m-Q8_0.gguf"), "lists what there is: {error}");
}

#[test]
fn the_token_stays_with_the_hub() {
    let (server, _folder, mut hub) = setup();
    hub.token = Some("secret".into());
    let other = server.address.replace("127.0.0.1", "localhost");
    server.misbehave(Mischief { elsewhere: Some(other), ..Mischief::default() });
    get(&hub, "owner/name").unwrap();
    let log = server.log();
    assert!(log.iter().all(|l| l.contains("with token") != l.contains("/cdn/")), "{log:?}");
}

#[test]
fn works_offline_from_the_cache() {
    let (_server, _folder, mut hub) = setup();
    hub.offline = true;
    let error = get(&hub, "owner/name").unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    hub.offline = false;
    let online = get(&hub, "owner/name").unwrap();
    hub.offline = true;
    assert_eq!(get(&hub, "owner/name").unwrap(), online);
    assert_eq!(get(&hub, &format!("owner/name@{COMMIT}")).unwrap(), online);
    hub.offline = false;
    hub.endpoint = "http://127.0.0.1:9".into();
    assert_eq!(get(&hub, "owner/name").unwrap(), online, "nobody answers there");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (server, _folder, hub) = setup();
    server.state.lock().unwrap().files = [("../../../evil.gguf".to_string(), vec![1; 10])].into();
    let error = get(&hub, "owner/name").unwrap_err();
    assert!(error.to_string().contains("no name that a file"), "{error}");
    for spec in ["name", "owner/", "/name", "owner/na me", "owner/..", "a/b/c", "owner/name@../x", "owner/name:"] {
        assert!(spec.parse::<ModelSpec>().is_err(), "{spec}");
    }
    let spec: ModelSpec = "owner/name@refs/pr/1:sub/m.gguf".parse().unwrap();
    assert_eq!((&*spec.revision, spec.pattern.as_deref()), ("refs/pr/1", Some("sub/m.gguf")));
}

#[test]
fn two_at_once_download_once() {
    let (server, _folder, hub) = setup();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(fs::read(&get(&hub, "owner/name").unwrap()[0]).unwrap(), weights()));
        }
    });
    assert_eq!(server.downloads(), 1);
}

#[test]
fn a_branch_is_noted_by_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let repo = cache::Repo::new(folder.path(), "owner/name");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| repo.set_commit("main", COMMIT).unwrap()));
        }
    });
    assert_eq!(repo.commit("main").as_deref(), Some(COMMIT));
    assert_eq!(
        fs::read_dir(folder.path().join("models--owner--name/refs")).unwrap().count(),
        1,
        "nothing is left over"
    );
}
