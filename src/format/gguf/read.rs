//! Reading the header: metadata and the table of tensors, streamed, every number checked before it is used.

use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, UNSUPPORTED, id};
use crate::{
    backend::LocalFuture,
    dtype::DType,
    error::{Error, Result},
    format::{ByteSource, Header, TensorInfo, UnsupportedTensor, Value, checked_elements, source::read_all},
    shape::Shape,
};
use std::collections::HashSet;

/// More header than this is a lie: the largest vocabularies need about 10 MB.
const MAX_HEADER: u64 = 64 << 20;
/// Longest key or tensor name, in bytes.
const MAX_NAME: u64 = 65_535;
/// Most dimensions of a tensor (ggml's limit).
const MAX_DIMS: u32 = 4;
/// Deepest arrays of arrays.
const MAX_NESTING: usize = 4;
/// Most arrays in an array: each takes more memory than its 12 bytes in the file.
const MAX_NESTED: u64 = 1 << 16;
/// Most entries reserved at once on a file's word; longer lists grow as they prove to be there.
const MAX_RESERVE: usize = 1 << 16;
/// Chunks read begin at this size and double up to the second.
const CHUNKS: (usize, usize) = (64 << 10, 4 << 20);

/// Reads the header of a GGUF file in growing chunks, never the whole file, and checks every tensor's place.
pub async fn read_header(source: &dyn ByteSource) -> Result<Header> {
    let mut cursor = Cursor::new(source);
    let (tensor_count, pair_count) = read_preamble(&mut cursor).await?;
    let mut header = Header::default();
    for index in 0..pair_count {
        let key = cursor.name("a metadata key").await?;
        cursor.what = format!("key {key:?}");
        let kind = cursor.u32().await?;
        let value = read_value(&mut cursor, kind, 0).await?;
        if key.is_empty() {
            return Err(cursor.error(format!("metadata entry {index} has an empty key")));
        }
        if header.metadata.0.insert(key, value).is_some() {
            return Err(cursor.error("appears twice"));
        }
    }
    let alignment = read_alignment(&header, source)?;
    let mut entries = Vec::with_capacity((tensor_count as usize).min(MAX_RESERVE));
    let mut names = HashSet::with_capacity(entries.capacity());
    for index in 0..tensor_count {
        let entry = read_entry(&mut cursor, index).await?;
        if !names.insert(entry.name.clone()) {
            return Err(cursor.error("appears twice"));
        }
        entries.push(entry);
    }
    let data_start = cursor.position().next_multiple_of(alignment);
    place(source, entries, data_start, alignment, &mut header)?;
    Ok(header)
}

/// Magic, version, and the counts of tensors and of metadata pairs.
async fn read_preamble(cursor: &mut Cursor<'_>) -> Result<(u64, u64)> {
    cursor.what = "the GGUF header".into();
    let magic = cursor.array::<4>().await?;
    if magic != MAGIC {
        return Err(cursor.error(format!("is not a GGUF file: it begins with bytes {magic:02x?}")));
    }
    match cursor.u32().await? {
        2 | 3 => {}
        1 => return Err(cursor.error("GGUF version 1 is not supported: convert the file again with a current tool")),
        v if v & 0xffff == 0 && v != 0 => {
            return Err(cursor.error("is a big-endian GGUF file: convert it with gguf-convert-endian"));
        }
        v => return Err(cursor.error(format!("GGUF version {v} is not supported; versions 2 and 3 are"))),
    }
    // The smallest entries: a tensor of no dimensions and an empty name; a key of one byte with a byte as value.
    let tensors = cursor.count("tensors", 8 + 4 + 4 + 8).await?;
    let pairs = cursor.count("metadata entries", 8 + 1 + 4 + 1).await?;
    Ok((tensors, pairs))
}

/// A value of type `kind`; arrays nest.
fn read_value<'a>(cursor: &'a mut Cursor<'_>, kind: u32, depth: usize) -> LocalFuture<'a, Result<Value>> {
    Box::pin(async move {
        Ok(match kind {
            id::U8 => Value::U8(cursor.array::<1>().await?[0]),
            id::I8 => Value::I8(cursor.array::<1>().await?[0] as i8),
            id::U16 => Value::U16(u16::from_le_bytes(cursor.array().await?)),
            id::I16 => Value::I16(i16::from_le_bytes(cursor.array().await?)),
            id::U32 => Value::U32(cursor.u32().await?),
            id::I32 => Value::I32(cursor.u32().await? as i32),
            id::U64 => Value::U64(cursor.u64().await?),
            id::I64 => Value::I64(cursor.u64().await? as i64),
            id::F32 => Value::F32(f32::from_le_bytes(cursor.array().await?)),
            id::F64 => Value::F64(f64::from_le_bytes(cursor.array().await?)),
            id::BOOL => {
                let byte = cursor.array::<1>().await?[0];
                Value::Bool(bool_from(byte).ok_or_else(|| cursor.error(format!("boolean with value {byte}")))?)
            }
            id::STRING => Value::String(cursor.string(MAX_HEADER).await?),
            id::ARRAY if depth == MAX_NESTING => {
                return Err(cursor.error(format!("arrays nest deeper than {MAX_NESTING}")));
            }
            id::ARRAY => {
                let element = cursor.u32().await?;
                let smallest = match element {
                    id::U8 | id::I8 | id::BOOL => 1,
                    id::U16 | id::I16 => 2,
                    id::U32 | id::I32 | id::F32 => 4,
                    id::U64 | id::I64 | id::F64 | id::STRING => 8,
                    id::ARRAY => 12,
                    _ => return Err(cursor.error(format!("array of unknown type {element}"))),
                };
                let count = cursor.count("array entries", smallest).await?;
                if element == id::ARRAY && count > MAX_NESTED {
                    return Err(
                        cursor.error(format!("claims {count} arrays in an array, at most {MAX_NESTED} are read"))
                    );
                }
                read_array(cursor, element, count, depth).await?
            }
            _ => return Err(cursor.error(format!("unknown value type {kind}"))),
        })
    })
}

/// `count` elements of type `element`, which have been checked to fit into the file.
async fn read_array(cursor: &mut Cursor<'_>, element: u32, count: u64, depth: usize) -> Result<Value> {
    let reserve = (count as usize).min(MAX_RESERVE);
    Ok(match element {
        id::STRING => {
            let mut strings = Vec::with_capacity(reserve);
            for _ in 0..count {
                strings.push(cursor.string(MAX_HEADER).await?);
            }
            Value::Strings(strings)
        }
        id::ARRAY => {
            let mut arrays = Vec::with_capacity(reserve.min(1024));
            for _ in 0..count {
                arrays.push(read_value(cursor, id::ARRAY, depth + 1).await?);
            }
            Value::Array(arrays)
        }
        id::U8 => Value::Bytes(cursor.numbers(count, |b: [u8; 1]| Some(b[0])).await?),
        id::I8 => Value::Ints(cursor.numbers(count, |b: [u8; 1]| Some((b[0] as i8).into())).await?),
        id::U16 => Value::Ints(cursor.numbers(count, |b| Some(u16::from_le_bytes(b).into())).await?),
        id::I16 => Value::Ints(cursor.numbers(count, |b| Some(i16::from_le_bytes(b).into())).await?),
        id::U32 => Value::Ints(cursor.numbers(count, |b| Some(u32::from_le_bytes(b).into())).await?),
        id::I32 => Value::Ints(cursor.numbers(count, |b| Some(i32::from_le_bytes(b).into())).await?),
        id::U64 => Value::Ints(cursor.numbers(count, |b| i64::try_from(u64::from_le_bytes(b)).ok()).await?),
        id::I64 => Value::Ints(cursor.numbers(count, |b| Some(i64::from_le_bytes(b))).await?),
        id::F32 => Value::F32s(cursor.numbers(count, |b| Some(f32::from_le_bytes(b))).await?),
        id::F64 => Value::F64s(cursor.numbers(count, |b| Some(f64::from_le_bytes(b))).await?),
        id::BOOL => Value::Bools(cursor.numbers(count, |b: [u8; 1]| bool_from(b[0])).await?),
        _ => return Err(cursor.error(format!("array of unknown type {element}"))),
    })
}

fn bool_from(byte: u8) -> Option<bool> {
    (byte < 2).then_some(byte == 1)
}

fn read_alignment(header: &Header, source: &dyn ByteSource) -> Result<u64> {
    match header.metadata.get(ALIGNMENT_KEY) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(&Value::U32(a)) if a.is_power_of_two() => Ok(a.into()),
        Some(other) => {
            let message = format!("key {ALIGNMENT_KEY:?} is {other:?}; a power of two (u32) is needed");
            Err(Error::format(source.name(), message))
        }
    }
}

/// A row of the table of tensors, as the file states it.
struct Entry {
    name: String,
    /// Outermost first.
    dims: Vec<u64>,
    kind: u32,
    /// From the start of the tensor data.
    offset: u64,
}

async fn read_entry(cursor: &mut Cursor<'_>, index: u64) -> Result<Entry> {
    let name = cursor.name("a tensor's name").await?;
    if name.is_empty() {
        return Err(cursor.error(format!("tensor {index} has an empty name")));
    }
    cursor.what = format!("tensor {name:?}");
    let rank = cursor.u32().await?;
    if rank > MAX_DIMS {
        return Err(cursor.error(format!("has {rank} dimensions; at most {MAX_DIMS} are possible")));
    }
    let mut dims = Vec::with_capacity(rank as usize);
    for _ in 0..rank {
        dims.push(cursor.u64().await?);
    }
    dims.reverse();
    let kind = cursor.u32().await?;
    let offset = cursor.u64().await?;
    Ok(Entry { name, dims, kind, offset })
}

/// Works out each tensor's bytes, checks that they lie in the file, aligned, and share nothing.
fn place(
    source: &dyn ByteSource,
    entries: Vec<Entry>,
    data_start: u64,
    alignment: u64,
    header: &mut Header,
) -> Result<()> {
    let mut spans = Vec::with_capacity(entries.len());
    for entry in &entries {
        let fail = |message: String| Err(Error::format(source.name(), format!("tensor {:?} {message}", entry.name)));
        let Some((block_len, block_bytes)) = block_of(entry.kind) else {
            return fail(format!("has unknown type {}", entry.kind));
        };
        let row = entry.dims.last().copied().unwrap_or(1);
        if !row.is_multiple_of(block_len) {
            return fail(format!("of shape {:?} has rows that are no multiple of {block_len}", entry.dims));
        }
        let elements = checked_elements(&entry.dims);
        let Some(bytes) = elements.and_then(|n| (n / block_len).checked_mul(block_bytes)) else {
            return fail(format!("has a shape whose size overflows: {:?}", entry.dims));
        };
        if !entry.offset.is_multiple_of(alignment) {
            return fail(format!("at data offset {} is not aligned to {alignment}", entry.offset));
        }
        let start = data_start.checked_add(entry.offset);
        let Some((start, end)) = start.and_then(|s| Some((s, s.checked_add(bytes)?))) else {
            return fail(format!("at data offset {} with {bytes} bytes overflows", entry.offset));
        };
        if end > source.len() {
            let size = source.len();
            return fail(format!("is at bytes {start}..{end}, but the file ends at {size}: is it complete?"));
        }
        spans.push((start, end));
    }
    check_disjoint(source.name(), &spans, |i| &entries[i].name)?;
    for (entry, (start, end)) in entries.into_iter().zip(spans) {
        let bytes = end - start;
        let dims: Option<Vec<usize>> = entry.dims.iter().map(|&d| d.try_into().ok()).collect();
        // Only a 32-bit machine can fail here: the tensor lies in the file, but not in its address space.
        let (Some(dims), Ok(size)) = (dims, usize::try_from(bytes)) else {
            return Err(Error::OutOfMemory { what: format!("tensor {:?}", entry.name), bytes });
        };
        let (name, shape) = (entry.name, Shape::from(dims));
        match DType::from_gguf_id(entry.kind) {
            Some(dtype) => {
                header.tensors.push(TensorInfo {
                    name,
                    dtype,
                    shape,
                    offset: start,
                    bytes: size,
                    source: 0,
                    encoding: None,
                });
            }
            None => {
                let dtype = unsupported(entry.kind).map_or("", |u| u.1).to_string();
                header.unsupported.push(UnsupportedTensor { name, dtype, shape, bytes });
            }
        }
    }
    Ok(())
}

fn unsupported(kind: u32) -> Option<&'static (u32, &'static str, u64, u64)> {
    UNSUPPORTED.iter().find(|u| u.0 == kind)
}

/// Elements and bytes per block of a tensor type.
fn block_of(kind: u32) -> Option<(u64, u64)> {
    match DType::from_gguf_id(kind) {
        Some(dtype) => Some((dtype.block_len() as u64, dtype.block_bytes() as u64)),
        None => unsupported(kind).map(|u| (u.2, u.3)),
    }
}

/// An error if two byte ranges share bytes; `name` gives the tensor of an index.
pub(crate) fn check_disjoint<'a>(file: &str, spans: &[(u64, u64)], name: impl Fn(usize) -> &'a String) -> Result<()> {
    let mut order: Vec<usize> = (0..spans.len()).filter(|&i| spans[i].0 < spans[i].1).collect();
    order.sort_unstable_by_key(|&i| spans[i]);
    for pair in order.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if spans[b].0 < spans[a].1 {
            let message = format!(
                "tensors {:?} (bytes {}..{}) and {:?} (bytes {}..{}) overlap",
                name(a),
                spans[a].0,
                spans[a].1,
                name(b),
                spans[b].0,
                spans[b].1
            );
            return Err(Error::format(file, message));
        }
    }
    Ok(())
}

/// Reads little-endian values from a source, a growing chunk at a time; what has been read is forgotten.
struct Cursor<'a> {
    source: &'a dyn ByteSource,
    /// Bytes `start..start + window.len()` of the file.
    window: Vec<u8>,
    start: u64,
    /// Where in the window the next value begins.
    at: usize,
    chunk: usize,
    /// What is being read, for messages.
    what: String,
}

impl<'a> Cursor<'a> {
    fn new(source: &'a dyn ByteSource) -> Self {
        Self { source, window: Vec::new(), start: 0, at: 0, chunk: CHUNKS.0, what: String::new() }
    }
    /// Offset in the file of the next value.
    fn position(&self) -> u64 {
        self.start + self.at as u64
    }
    fn remaining(&self) -> u64 {
        self.source.len() - self.position()
    }
    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::format(self.source.name(), format!("{}: {message} (at byte {})", self.what, self.position()))
    }
    /// The next `len` bytes, which stay in the window until the next call.
    async fn take(&mut self, len: usize) -> Result<&[u8]> {
        if self.window.len() - self.at < len {
            self.fill(len).await?;
        }
        let bytes = &self.window[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }
    /// Makes at least `len` bytes available.
    #[cold]
    async fn fill(&mut self, len: usize) -> Result<()> {
        if len as u64 > self.remaining() {
            let size = self.source.len();
            return Err(self.error(format!("{len} bytes wanted, but the file ends at {size}: is it complete?")));
        }
        if self.position() + len as u64 > MAX_HEADER {
            return Err(self.error(format!("the header is longer than {MAX_HEADER} bytes")));
        }
        self.window.drain(..self.at);
        self.start += self.at as u64;
        self.at = 0;
        let held = self.window.len() as u64;
        let left = self.source.len() - self.start - held;
        // `left` is no less than what is missing, so this is at least one byte.
        let want = ((len as u64 - held).max(self.chunk as u64)).min(left) as usize;
        let bytes = read_all(self.source, self.start + held, want).await?;
        self.window.extend_from_slice(bytes.bytes());
        self.chunk = (self.chunk * 2).min(CHUNKS.1);
        Ok(())
    }
    async fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N).await?);
        Ok(out)
    }
    async fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array().await?))
    }
    async fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array().await?))
    }
    /// A count of things that take at least `smallest` bytes each, all of which must still be in the file.
    async fn count(&mut self, of: &str, smallest: u64) -> Result<u64> {
        let count = self.u64().await?;
        if count.checked_mul(smallest).is_none_or(|bytes| bytes > self.remaining()) {
            let left = self.remaining();
            return Err(self.error(format!("claims {count} {of}, but only {left} bytes follow")));
        }
        Ok(count)
    }
    /// A string of at most `longest` bytes.
    async fn string(&mut self, longest: u64) -> Result<String> {
        if let Some(text) = self.string_here(longest) {
            return Ok(text);
        }
        let len = self.u64().await?;
        if len > longest.min(self.remaining()) {
            let left = self.remaining();
            return Err(self.error(format!("a string claims {len} bytes; {left} follow, {longest} are allowed")));
        }
        match std::str::from_utf8(self.take(len as usize).await?) {
            Ok(text) => Ok(text.to_owned()),
            Err(e) => {
                self.at -= len as usize;
                Err(self.error(format!("a string of {len} bytes is not UTF-8: {e}")))
            }
        }
    }
    /// A proper string that is wholly in the window: most of a vocabulary's 260,000 are, and need no waiting.
    fn string_here(&mut self, longest: u64) -> Option<String> {
        let (len, rest) = self.window[self.at..].split_first_chunk::<8>()?;
        let len = u64::from_le_bytes(*len);
        let len = usize::try_from(len).ok().filter(|_| len <= longest)?;
        let text = std::str::from_utf8(rest.get(..len)?).ok()?.to_owned();
        self.at += 8 + len;
        Some(text)
    }
    /// A key or name.
    async fn name(&mut self, what: &str) -> Result<String> {
        self.what = what.to_string();
        self.string(MAX_NAME).await
    }
    /// `count` numbers of `N` bytes, a chunk at a time; `None` from `convert` is a value out of range.
    async fn numbers<const N: usize, T>(
        &mut self,
        count: u64,
        convert: impl Fn([u8; N]) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut out = Vec::with_capacity((count as usize).min(MAX_RESERVE));
        let mut left = count;
        while left > 0 {
            let now = left.min((CHUNKS.0 / N) as u64) as usize;
            let before = out.len();
            let (chunks, _) = self.take(now * N).await?.as_chunks::<N>();
            out.extend(chunks.iter().map_while(|&bytes| convert(bytes)));
            if out.len() - before < now {
                return Err(self.error(format!("array entry {} is out of range", out.len())));
            }
            left -= now as u64;
        }
        Ok(out)
    }
}
