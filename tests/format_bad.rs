//! Files that are cut, that lie, or that are noise: each must be a clear error (or a file whose every tensor can be
//! read), without a panic and without memory out of proportion to the file. An allocator counts.

#[cfg(feature = "python")]
#[path = "format_bad/python.rs"]
mod python;

use pollster::block_on;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    path::Path,
};
use votive::{
    Error,
    backend::{LocalFuture, cpu::Buffer},
    format::{ByteSource, Checkpoint, MemorySource},
};

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Counts what each thread holds.
struct Counting;

fn count(bytes: isize) {
    LIVE.set(LIVE.get() + bytes);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

// SAFETY: every call is passed on unchanged; counting touches thread-local cells only, which never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What opening and reading all of these bytes may hold beside them: names and lists weigh more in memory than in
/// the file (a string of no bytes takes 8 there, 24 here, and lists double), never without bound.
fn allowance(len: usize, factor: usize) -> isize {
    (64 * 1024 + factor * len) as isize
}

/// Opens the bytes as a model and reads every tensor of it.
fn open(name: &str, bytes: &[u8]) -> Result<Checkpoint, Error> {
    open_within(name, bytes, 16)
}

/// As [`open`]; `factor` times the file's size may be held. Deflate makes up to 1032 bytes of one.
fn open_within(name: &str, bytes: &[u8], factor: usize) -> Result<Checkpoint, Error> {
    let source: Box<dyn ByteSource> = Box::new(MemorySource::new(name, bytes.to_vec()));
    let before = LIVE.get();
    PEAK.set(before);
    let result = block_on(Checkpoint::open(vec![source]));
    if let Ok(checkpoint) = &result {
        for tensor in checkpoint.tensors() {
            let read = match block_on(checkpoint.read(&tensor.name)) {
                Ok(read) => read,
                // What is compressed shows only then whether it is whole.
                Err(error) if tensor.encoding.is_some() => return Err(error),
                Err(error) => panic!("a tensor that was accepted cannot be read: {error}"),
            };
            assert_eq!(Some(read.len()), tensor.dtype.bytes_for(tensor.shape.elements()), "{}", tensor.name);
        }
    }
    let held = PEAK.get() - before;
    assert!(held <= allowance(bytes.len(), factor), "{held} bytes held for a file of {}", bytes.len());
    result
}

/// Opening must fail with a message that says so.
#[track_caller]
fn refused(name: &str, bytes: &[u8], expected: &str) {
    match open(name, bytes) {
        Ok(_) => panic!("was accepted; {expected:?} was expected"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains(name), "{expected:?} expected: {text}");
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats").join(name)).unwrap()
}

/// A GGUF file under construction.
#[derive(Clone, Default)]
struct Gguf(Vec<u8>);

impl Gguf {
    fn new(tensors: u64, pairs: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(3).u64(tensors).u64(pairs)
    }
    fn u32(mut self, v: u32) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u64(mut self, v: u64) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    fn text(self, text: &str) -> Self {
        self.u64(text.len() as u64).raw(text.as_bytes())
    }
    fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let head = self.text(name).u32(dims.len() as u32);
        dims.iter().fold(head, |g, &d| g.u64(d)).u32(kind).u64(offset)
    }
    /// Pads to the default alignment and adds `n` bytes of data.
    fn data(mut self, n: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32) + n, 7);
        self.0
    }
}

#[test]
fn gguf_cut_anywhere() {
    let whole = golden("small.gguf");
    let end = open("m.gguf", &whole).unwrap().tensors().map(|t| t.offset as usize + t.bytes).max().unwrap();
    for len in 0..whole.len() {
        let result = open("m.gguf", &whole[..len]);
        assert_eq!(result.is_ok(), len >= end, "cut to {len} bytes");
        if let Err(error) = result {
            assert!(matches!(error, Error::Format { .. }), "{error}");
        }
    }
}

#[test]
fn safetensors_cut_anywhere() {
    let whole = golden("small.safetensors");
    open("m.safetensors", &whole).unwrap();
    for len in 0..whole.len() {
        assert!(open("m.safetensors", &whole[..len]).is_err(), "cut to {len} bytes");
    }
    let longer = [whole, vec![0]].concat();
    refused("m.safetensors", &longer, "the file at");
}

#[test]
fn gguf_of_another_kind() {
    let g = |version: [u8; 4]| Gguf(b"GGUF".to_vec()).raw(&version).u64(0).u64(0).0;
    refused("m", &g([0, 0, 0, 3]), "big-endian");
    refused("m", &g([1, 0, 0, 0]), "version 1");
    refused("m", &g([9, 0, 0, 0]), "version 9");
    refused("m", &g([0, 0, 0, 0]), "version 0");
    assert!(open("m", &g([2, 0, 0, 0])).is_ok(), "version 2 is read");
}

#[test]
fn gguf_that_lies_about_counts() {
    for n in [1, 1 << 20, 1 << 32, u64::MAX / 24, u64::MAX] {
        refused("m", &Gguf::new(n, 0).0, "tensors");
        refused("m", &Gguf::new(0, n).0, "metadata entries");
        refused("m", &Gguf::new(0, 1).u64(n.saturating_add(100)).raw(b"123456789").0, "a string claims");
        refused("m", &Gguf::new(0, 1).text("k").u32(8).u64(n.saturating_add(100)).0, "a string claims");
        for element in 0..13 {
            let array = Gguf::new(0, 1).text("key").u32(9).u32(element).u64(n);
            refused("m", &array.0, "array entries");
        }
    }
    // A count that fits in the file, of strings that do not.
    refused("m", &Gguf::new(0, 1).text("key").u32(9).u32(8).u64(9).raw(&[255; 100]).0, "a string claims");
    // As many as could be: the list grows with what is there.
    refused("m", &Gguf::new(0, 1).text("key").u32(9).u32(8).u64(1000).raw(&[0; 7999]).0, "array entries");
    assert!(open("m", &Gguf::new(0, 1).text("key").u32(9).u32(8).u64(1000).raw(&[0; 8000]).0).is_ok());
}

#[test]
fn gguf_with_bad_metadata() {
    let pair = |key: &str, kind: u32| Gguf::new(0, 1).text(key).u32(kind);
    refused("m", &pair("key", 13).u64(0).0, "unknown value type 13");
    refused("m", &pair("key", 9).u32(99).u64(0).0, "array of unknown type 99");
    refused("m", &pair("key", 7).raw(&[2]).0, "boolean with value 2");
    refused("m", &pair("key", 9).u32(7).u64(3).raw(&[0, 1, 9]).0, "entry 2 is out of range");
    refused("m", &pair("key", 9).u32(10).u64(1).u64(u64::MAX).0, "out of range");
    refused("m", &pair("", 4).u32(1).0, "empty key");
    refused("m", &pair("key", 8).u64(4).raw(&[0xc3, 0x28, 0, 0]).0, "not UTF-8");
    refused("m", &Gguf::new(0, 1).u64(3).raw(&[0xff, 0xfe, 0]).u32(4).u32(1).u64(0).0, "not UTF-8");
    let twice = Gguf::new(0, 2).text("key").u32(4).u32(1).text("key").u32(4).u32(1);
    refused("m", &twice.0, "key \"key\": appears twice");
    let nested = (0..100).fold(pair("key", 9), |g, _| g.u32(9).u64(1));
    refused("m", &nested.raw(&[0; 12]).0, "nest deeper");
    // A thousand arrays of a thousand arrays of a thousand would be much memory if counts were believed.
    let bomb = pair("key", 9).u32(9).u64(1 << 10).u32(9).u64(1 << 10).u32(9).u64(1 << 10);
    refused("m", &bomb.raw(&[0; 12 << 10]).0, "is it complete?");
    for alignment in [0, 3, 100] {
        refused("m", &pair("general.alignment", 4).u32(alignment).0, "power of two");
    }
    refused("m", &pair("general.alignment", 8).text("32").0, "power of two");
    refused("m", &Gguf::new(0, 1).u64(70_000).raw(&[b'k'; 80_000]).0, "65535 are allowed");
}

#[test]
fn gguf_with_bad_tensors() {
    let one = |name: &str, dims: &[u64], kind: u32, offset: u64| Gguf::new(1, 0).tensor(name, dims, kind, offset);
    assert!(open("m", &one("t", &[8], 0, 0).data(32)).is_ok());
    refused("m", &one("t", &[8], 0, 0).data(31), "is it complete?");
    refused("m", &one("t", &[9], 0, 0).data(32), "tensor \"t\" is at bytes");
    refused("m", &one("t", &[8], 0, 32).data(32), "is it complete?");
    refused("m", &one("t", &[8], 0, 4).data(64), "not aligned to 32");
    refused("m", &one("t", &[8], 0, u64::MAX - 31).data(64), "overflows");
    refused("m", &one("t", &[8], 4, 0).data(64), "unknown type 4");
    refused("m", &one("t", &[8], 99, 0).data(64), "unknown type 99");
    refused("m", &one("", &[8], 0, 0).data(64), "empty name");
    refused("m", &one("t", &[31, 32], 2, 0).data(2000), "no multiple of 32");
    refused("m", &one("t", &[1 << 32, 1 << 32], 0, 0).data(64), "overflows");
    refused("m", &one("t", &[1 << 40, 1 << 40, 0], 0, 0).data(64), "overflows");
    refused("m", &one("t", &[u64::MAX], 0, 0).data(64), "overflows");
    refused("m", &one("t", &[1 << 60], 0, 0).data(64), "is it complete?");
    refused("m", &one("t", &[1; 5], 0, 0).data(64), "5 dimensions");
    refused("m", &Gguf::new(1, 0).text("t").u32(u32::MAX).raw(&[0; 64]).0, "dimensions");
    let two = |a: u64, b: u64| Gguf::new(2, 0).tensor("a", &[16], 0, a).tensor("b", &[16], 0, b).data(128);
    assert!(open("m", &two(64, 0)).is_ok(), "any order of places");
    refused("m", &two(0, 32), "overlap");
    refused("m", &two(32, 32), "overlap");
    let same = Gguf::new(2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).data(64);
    refused("m", &same, "tensor \"a\": appears twice");
    // A thousand tensors that share the same bytes would be a large model in a small file.
    let shared = (0..1000).fold(Gguf::new(1000, 0), |g, i| g.tensor(&i.to_string(), &[1000], 0, 0));
    refused("m", &shared.data(4000), "overlap");
    // Empty tensors take no place, so they cannot overlap.
    let empty = Gguf::new(2, 0).tensor("a", &[0], 0, 0).tensor("b", &[8], 0, 0).data(32);
    assert_eq!(open("m", &empty).unwrap().tensors().len(), 2);
}

/// A safetensors file of this header and `n` bytes of data.
fn safe(header: &str, n: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.bytes());
    out.resize(out.len() + n, 7);
    out
}

#[test]
fn safetensors_with_bad_headers() {
    let name = "m.safetensors";
    let tensor = |dtype: &str, shape: &str, start: u64, end: u64| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let one = |t: String| format!(r#"{{"t":{t}}}"#);
    let two = |a: String, b: String| format!(r#"{{"a":{a},"b":{b}}}"#);
    assert!(open(name, &safe(&one(tensor("F32", "[2]", 0, 8)), 8)).is_ok());
    for (header, data, expected) in [
        (one(tensor("F32", "[2]", 0, 8)), 4, "is it complete?"),
        (one(tensor("F32", "[2]", 0, 8)), 9, "the file at 9"),
        (one(tensor("F32", "[3]", 0, 8)), 8, "has 8 bytes"),
        (one(tensor("F32", "[2]", 8, 0)), 8, "end before they begin"),
        (one(tensor("F32", "[2]", 4, 12)), 12, "leaves a gap"),
        (one(tensor("F32", "[2]", 0, u64::MAX)), 8, "is it complete?"),
        (one(tensor("F32", "[4294967296,4294967296,4294967296]", 0, 8)), 8, "overflows"),
        (one(tensor("F32", "[18446744073709551615]", 0, 8)), 8, "8 bytes"),
        (one(tensor("F32", "[-1]", 0, 8)), 8, "tensor \\\"t\\\""),
        (one(tensor("F32", "[0,1e30]", 0, 0)), 0, "tensor \\\"t\\\""),
        (one("{}".into()), 0, "missing field"),
        (one("3".into()), 0, "invalid type"),
        (two(tensor("U8", "[4]", 0, 4), tensor("U8", "[4]", 2, 6)), 6, "overlaps"),
        (two(tensor("U8", "[4]", 0, 4), tensor("U8", "[4]", 0, 4)), 4, "overlaps"),
        (r#"{"__metadata__":{"a":1}}"#.into(), 0, "expected a string"),
        ("{\"a\"".into(), 0, "EOF"),
        ("{}{}".into(), 0, "trailing"),
    ] {
        let expected = expected.replace("\\\"", "\"");
        refused(name, &safe(&header, data), &expected);
    }
    let same = format!(r#"{{"a":{},"a":{}}}"#, tensor("U8", "[1]", 0, 1), tensor("U8", "[1]", 1, 2));
    refused(name, &safe(&same, 2), "appears twice");
    // Nesting, where a tensor should be and where fields are skipped, costs no stack.
    for (open, expected) in [("{\"a\":", "invalid type"), ("{\"a\":{\"x\":", "EOF")] {
        refused(name, &safe(&(open.to_string() + &"[".repeat(100_000)), 0), expected);
    }
    let mut not_text = safe("{\"aa\":1}", 0);
    not_text[10..12].copy_from_slice(&[0xff, 0xfe]);
    refused(name, &not_text, "not as it should be");
    for (length, expected) in [
        (9u64, "is it complete?"),
        (1 << 20, "is it complete?"),
        (100_000_000, "is it complete?"),
        (1 << 40, "can be read"),
        (u64::MAX, "can be read"),
    ] {
        let mut lie = safe("{}", 0);
        lie[..8].copy_from_slice(&length.to_le_bytes());
        refused(name, &lie, expected);
    }
}

/// A large file whose bytes after the first few are zeros, made as they are asked for; it takes no memory itself.
struct Sparse {
    head: Vec<u8>,
    len: u64,
}

impl ByteSource for Sparse {
    fn name(&self) -> &str {
        "large.gguf"
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, votive::Result<Buffer>> {
        Box::pin(async move {
            let mut buffer = Buffer::zeroed(len)?;
            let head = self.head.get(offset as usize..).unwrap_or_default();
            let n = head.len().min(len);
            buffer.bytes_mut()[..n].copy_from_slice(&head[..n]);
            Ok(buffer)
        })
    }
}

/// The most held while opening a sparse file and reading what is in it, and how that went.
fn peak_of(head: Vec<u8>, len: u64) -> (isize, Result<usize, Error>) {
    let source: Box<dyn ByteSource> = Box::new(Sparse { head, len });
    let before = LIVE.get();
    PEAK.set(before);
    let result = block_on(async {
        let checkpoint = Checkpoint::open(vec![source]).await?;
        let mut bytes = 0;
        for name in checkpoint.names() {
            bytes += checkpoint.read(name).await?.len();
        }
        Ok(bytes)
    });
    (PEAK.get() - before, result)
}

#[test]
fn large_files_that_lie_cost_nothing_large() {
    const LEN: u64 = 1 << 44;
    for n in [1 << 20, 1 << 30, 1 << 39] {
        for head in [
            Gguf::new(n, 0),
            Gguf::new(0, n),
            Gguf::new(0, 1).text("key").u32(9).u32(9).u64(n).u32(9).u64(n),
            Gguf::new(1, 1).text("key").u32(8).u64(n.max(1 << 29)),
            Gguf::new(1, 0).tensor("t", &[n], 99, 0),
        ] {
            let (peak, result) = peak_of(head.0, LEN);
            assert!(result.is_err(), "a count of {n}");
            assert!(peak < 16 << 20, "{peak} bytes held for a count of {n}");
        }
    }
    // The header must end somewhere: numbers are read as long as there are any, up to a limit.
    let (peak, result) = peak_of(Gguf::new(0, 1).text("key").u32(9).u32(7).u64(1 << 40).0, LEN);
    assert!(result.unwrap_err().to_string().contains("header is longer"));
    assert!(peak < 300 << 20, "{peak}");
}

#[test]
fn a_streamed_tensor_is_held_once() {
    const TENSOR: usize = 100 << 20;
    let head = Gguf::new(2, 0).tensor("a", &[TENSOR as u64 / 4], 0, 0).tensor("b", &[8], 0, TENSOR as u64);
    let (peak, result) = peak_of(head.0, (TENSOR + 4096) as u64);
    assert_eq!(result.unwrap(), TENSOR + 32);
    let beside = peak - TENSOR as isize;
    assert!((0..=9 << 20).contains(&beside), "{beside} bytes held beside a tensor of {TENSOR}");
}

/// Marsaglia's xorshift64*: the same noise on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

#[test]
fn noise() {
    let mut noise = Noise(1);
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = (0..noise.below(400)).map(|_| noise.next() as u8).collect();
        let head: &[u8] = match round % 4 {
            0 => b"",
            1 => b"GGUF\x03\0\0\0",
            2 => b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0key",
            _ => b"\x40\0\0\0\0\0\0\0{\"",
        };
        let len = head.len().min(bytes.len());
        bytes[..len].copy_from_slice(&head[..len]);
        assert!(open("m.gguf", &bytes).is_err());
    }
}

/// Changes a few bytes of a good file, as a fuzzer would.
fn mutate(bytes: &mut Vec<u8>, noise: &mut Noise) {
    const INTERESTING: [u64; 10] = [0, 1, 8, 12, 255, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];
    for _ in 0..=noise.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = noise.below(bytes.len());
        match noise.below(6) {
            0 => bytes[at] ^= 1 << noise.below(8),
            1 => bytes[at] = noise.next() as u8,
            2 | 3 => {
                let width = [1, 2, 4, 8][noise.below(4)].min(bytes.len() - at);
                let value = INTERESTING[noise.below(INTERESTING.len())].to_le_bytes();
                bytes[at..at + width].copy_from_slice(&value[..width]);
            }
            4 => {
                let end = (at + noise.below(32)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            _ => {
                let end = (at + noise.below(32)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = noise.below(bytes.len());
                drop(bytes.splice(to..to, copy));
            }
        }
    }
}

#[test]
fn mutations_of_good_files() {
    let mut noise = Noise(2);
    for name in ["small.gguf", "split-00002-of-00003.gguf", "small.safetensors"] {
        let good = golden(name);
        let (mut opened, rounds) = (0, 30_000);
        for _ in 0..rounds {
            let mut bytes = good.clone();
            mutate(&mut bytes, &mut noise);
            opened += u32::from(open(name, &bytes).is_ok());
        }
        // Many mutations touch only values or data: a reader that refused everything would prove nothing.
        assert!(opened < rounds && (opened > 0 || name.starts_with("split")), "{name}: {opened} of {rounds} opened");
    }
}
