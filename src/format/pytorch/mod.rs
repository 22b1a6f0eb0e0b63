//! What `torch.save` writes: a zip archive since PyTorch 1.6, before that a row of pickles with the storages behind.
//!
//! A pickle is a program. The machine here runs only what builds tensors, numbers, texts, lists and
//! dictionaries; a pickle that asks for anything else is refused by the name it asks for, and nothing of it is ever
//! called. Dictionaries and lists are flattened into names joined by dots; numbers and texts become metadata.
//!
//! Formats: `torch/serialization.py`, Python's `pickletools`.

mod flatten;
mod globals;
mod pickle;

use super::{
    ByteSource, Header, TensorInfo, UnsupportedTensor, checked_elements,
    encoding::{Encoding, Raw},
    source::read_all,
    zip,
};
use crate::{
    error::{Error, Result},
    shape::Shape,
};
use indexmap::IndexMap;
use pickle::{Failure, Machine, Storage, Value};
use std::collections::HashMap;

/// Longest pickle: 32 MB describe a hundred thousand tensors.
const MAX_PICKLE: u64 = 32 << 20;
/// The first pickle of the old format is this number, as Python's `LONG1`.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Do the first bytes begin a file of the old format?
pub(super) fn is_legacy(head: &[u8]) -> bool {
    head.first() == Some(&0x80) && head.windows(LEGACY_MAGIC.len()).any(|w| w == LEGACY_MAGIC)
}

/// The entry with the pickle, if an archive is one of PyTorch's.
pub(super) fn pickle_of(entries: &[zip::Entry]) -> Option<&zip::Entry> {
    entries.iter().find(|e| e.name == "data.pkl" || e.name.ends_with("/data.pkl"))
}

/// Where a storage's elements are.
struct Place {
    /// In the file; of the compressed bytes if there is an entry.
    offset: u64,
    bytes: u64,
    deflated: Option<zip::Entry>,
}

/// Reads the pickle of an archive and finds each tensor's bytes.
pub(super) async fn read_archive_header(source: &dyn ByteSource, entries: Vec<zip::Entry>) -> Result<Header> {
    let fail = |message: &str| Err(Error::format(source.name(), message));
    let Some(entry) = pickle_of(&entries) else { return fail("holds no data.pkl") };
    let root = entry.name.trim_end_matches("data.pkl").to_string();
    if entry.size > MAX_PICKLE {
        return fail("has a pickle of more than 32 MB");
    }
    let mut by_name: IndexMap<&str, &zip::Entry> = entries.iter().map(|e| (e.name.as_str(), e)).collect();
    if by_name.contains_key(format!("{root}constants.pkl").as_str()) {
        return fail("is a TorchScript program: save the state_dict() of the module with torch.save instead");
    }
    let big_endian = match by_name.swap_remove(format!("{root}byteorder").as_str()) {
        Some(entry) => entry.read_head(source, 8).await?.bytes() == b"big",
        None => false,
    };
    let pickle = entry.read(source).await?;
    let mut machine = Machine::new(pickle.bytes());
    let (value, _) = machine.run().map_err(|failure| failure.of(source.name()))?;
    let places = |storage: &Storage<'_>| {
        let entry = by_name.get(format!("{root}data/{}", storage.key).as_str())?;
        Some(Place { offset: entry.offset, bytes: entry.size, deflated: entry.deflated.then(|| (*entry).clone()) })
    };
    header_of(source, &machine, value, big_endian, &places)
}

/// Reads the pickles of a file of the old format and finds each tensor's bytes behind them.
pub(super) async fn read_legacy_header(source: &dyn ByteSource) -> Result<Header> {
    // How long the pickles are shows only when they have been run: they are read again with twice the bytes as long as
    // they end too early.
    let mut len = source.len().min(64 << 10);
    loop {
        let pickles = read_all(source, 0, len as usize).await?;
        let failure = match legacy_header(source, pickles.bytes()).await {
            Ok(header) => return Ok(header),
            Err(failure) => failure,
        };
        if !matches!(failure, Failure::Short) || len == source.len().min(MAX_PICKLE) {
            return Err(failure.of(source.name()));
        }
        len = (2 * len).min(source.len()).min(MAX_PICKLE);
    }
}

async fn legacy_header(source: &dyn ByteSource, bytes: &[u8]) -> Result<Header, Failure> {
    let mut at = 0;
    let mut run = |machine: &mut Machine<'_>| -> Result<Value, Failure> {
        let (value, used) = machine.run()?;
        at += used;
        Ok(value)
    };
    // Magic number, version and facts about the machine that wrote it; the files are little-endian always.
    let mut rest = bytes;
    let mut version = Value::None;
    for index in 0..3 {
        let mut machine = Machine::new(rest);
        let value = run(&mut machine)?;
        rest = machine.rest();
        if index == 1 {
            version = value;
        }
    }
    if version != Value::Int(1001) {
        return Err(Failure::bad("is of an unknown version of PyTorch's old format"));
    }
    let mut machine = Machine::new(rest);
    let value = run(&mut machine)?;
    let mut keys_machine = Machine::new(machine.rest());
    let keys = run(&mut keys_machine)?;
    let Some(keys) = keys_machine.items(keys) else {
        return Err(Failure::bad("has no list of storages behind its pickle"));
    };
    // Each storage: the number of its elements, then they.
    let mut places: IndexMap<&str, Place> = IndexMap::new();
    let sizes: HashMap<&str, usize> = machine.storages.iter().map(|s| (s.key, s.kind.size)).collect();
    let mut offset = at as u64;
    for key in keys {
        let key = keys_machine.text(*key).ok_or_else(|| Failure::bad("has a storage without a name"))?;
        let Some(&size) = sizes.get(key) else {
            return Err(Failure::bad(format!("has a storage {key:?} that its pickle does not mention")));
        };
        let missing = || Failure::bad(format!("ends before storage {key:?}: is it complete?"));
        if source.len().saturating_sub(offset) < 8 {
            return Err(missing());
        }
        let count = read_all(source, offset, 8).await.map_err(Failure::Error)?;
        let count = count.bytes().first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let bytes = count.checked_mul(size as u64);
        offset += 8;
        let Some(bytes) = bytes.filter(|&n| n <= source.len() - offset) else { return Err(missing()) };
        if places.insert(key, Place { offset, bytes, deflated: None }).is_some() {
            return Err(Failure::bad(format!("lists storage {key:?} twice")));
        }
        offset += bytes;
    }
    let find = |storage: &Storage<'_>| {
        let place = places.get(storage.key)?;
        Some(Place { offset: place.offset, bytes: place.bytes, deflated: None })
    };
    header_of(source, &machine, value, false, &find).map_err(Failure::Error)
}

/// Names the tensors in what a pickle made, and checks that each lies in its storage.
fn header_of(
    source: &dyn ByteSource,
    machine: &Machine<'_>,
    value: Value,
    big_endian: bool,
    place_of: &dyn Fn(&Storage<'_>) -> Option<Place>,
) -> Result<Header> {
    let mut header = Header::default();
    let found = flatten::flatten(machine, value, &mut header.metadata);
    for (name, tensor) in found.map_err(|message| Error::format(source.name(), message))? {
        let fail = |message: String| Err(Error::format(source.name(), format!("tensor {name:?} {message}")));
        let tensor = &machine.tensors[tensor as usize];
        let storage = &machine.storages[tensor.storage as usize];
        let kind = tensor.kind.unwrap_or(storage.kind);
        let size = kind.size as u64;
        let Some(place) = place_of(storage) else {
            return fail(format!("lies in storage {:?}, which is not in the file", storage.key));
        };
        let elements = checked_elements(&tensor.sizes);
        let dims: Option<Vec<usize>> = tensor.sizes.iter().map(|&d| d.try_into().ok()).collect();
        let (Some(elements), Some(dims)) = (elements, dims) else {
            return fail(format!("has a shape whose size overflows: {:?}", tensor.sizes));
        };
        let shape = Shape::from(dims);
        // From the first to the last element, and from the storage's beginning.
        let last = tensor
            .sizes
            .iter()
            .zip(&tensor.strides)
            .try_fold(0u64, |at, (&size, &stride)| at.checked_add(stride.checked_mul(size.saturating_sub(1))?));
        let span = if elements == 0 { Some(0) } else { last.and_then(|n| n.checked_add(1)) };
        let start = storage.base.checked_add(tensor.offset).and_then(|n| n.checked_mul(size));
        let end = span.and_then(|n| n.checked_mul(size)).and_then(|n| n.checked_add(start?));
        let (Some(span), Some(start), Some(end)) = (span, start, end) else {
            return fail("has strides that overflow".into());
        };
        if end > place.bytes {
            let bytes = place.bytes;
            return fail(format!("is at bytes {start}..{end} of storage {:?}, which has {bytes}", storage.key));
        }
        let Some(raw) = kind.raw else {
            let dtype = kind.dtype.to_string();
            header.unsupported.push(UnsupportedTensor { name, dtype, shape, bytes: elements.saturating_mul(size) });
            continue;
        };
        // A view that repeats its elements may be of any size; none that is larger than the file is meant to be read.
        if elements > span && elements.saturating_mul(size) > source.len() {
            return fail(format!("of shape {shape} repeats {span} elements to more bytes than the file has"));
        }
        let bytes = raw.dtype().bytes_for(shape.elements()).filter(|&n| n <= isize::MAX as usize);
        let strides: Option<Vec<usize>> = tensor.strides.iter().map(|&s| s.try_into().ok()).collect();
        let (Some(bytes), Some(strides), Ok(span)) = (bytes, strides, usize::try_from(span)) else {
            return Err(Error::OutOfMemory { what: format!("tensor {name:?}"), bytes: elements.saturating_mul(size) });
        };
        let (offset, deflated) = match place.deflated {
            Some(entry) => (place.offset, Some((entry, start))),
            None => (place.offset + start, None),
        };
        let strides = if elements == 0 { shape.strides() } else { strides };
        let encoding = Encoding { deflated, raw, big_endian, strides, span };
        let encoding = (!encoding.is_plain(shape.dims())).then(|| Box::new(encoding));
        header.tensors.push(TensorInfo { name, dtype: raw.dtype(), shape, offset, bytes, source: 0, encoding });
    }
    Ok(header)
}

/// An element type by the names that PyTorch has for it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kind {
    /// `float32`
    dtype: &'static str,
    /// `FloatStorage`, where there is one.
    storage: &'static str,
    /// How it is read, where it can be.
    raw: Option<Raw>,
    size: usize,
}

impl Failure {
    fn of(self, file: &str) -> Error {
        match self {
            Self::Short => Error::format(file, "the pickle does not end: is the file complete?"),
            Self::Bad(message) => Error::format(file, message),
            Self::Error(error) => error,
        }
    }
}
