//! Reading headers and the index of a sharded model.

use super::{DTYPES, MAX_HEADER, METADATA_KEY};
use crate::{
    error::{Error, Result},
    format::{ByteSource, Header, TensorInfo, UnsupportedTensor, Value, checked_elements, source::read_all},
    shape::Shape,
};
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{collections::HashSet, fmt};

/// Do the first 9 bytes look like a safetensors file: a credible length, then JSON?
pub fn is_safetensors(head: &[u8]) -> bool {
    match head.first_chunk::<8>() {
        Some(n) => {
            let n = u64::from_le_bytes(*n);
            head.get(8) == Some(&b'{') && (2..=MAX_HEADER).contains(&n)
        }
        None => false,
    }
}

/// Reads the header, and checks that the tensors cover the rest of the file exactly.
pub async fn read_header(source: &dyn ByteSource) -> Result<Header> {
    let fail = |message: String| Err(Error::format(source.name(), message));
    if source.len() < 8 {
        return fail(format!("is not a safetensors file: it has {} bytes, the header's length takes 8", source.len()));
    }
    let mut length = [0; 8];
    length.copy_from_slice(read_all(source, 0, 8).await?.bytes());
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return fail(format!("claims a header of {length} bytes; at most {MAX_HEADER} are allowed"));
    }
    if length > source.len() - 8 {
        let left = source.len() - 8;
        return fail(format!("claims a header of {length} bytes, but only {left} follow: is it complete?"));
    }
    let json = read_all(source, 8, length as usize).await?;
    let entries: Entries = match serde_json::from_slice(json.bytes()) {
        Ok(entries) => entries,
        Err(e) => return fail(format!("the header of {length} bytes at byte 8 is not as it should be: {e}")),
    };
    place(source, entries, 8 + length)
}

/// The header's entries in file order.
struct Entries {
    tensors: Vec<(String, Entry)>,
    metadata: IndexMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            // By hand, since a map would silently keep the last of two entries of one name.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                use serde::de::Error as _;
                let mut entries = Entries { tensors: Vec::new(), metadata: IndexMap::new() };
                let mut names = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("{name:?} appears twice")));
                    }
                    let with_name = |e: A::Error| A::Error::custom(format!("tensor {name:?}: {e}"));
                    if name == METADATA_KEY {
                        entries.metadata = map.next_value()?;
                    } else {
                        let entry = map.next_value().map_err(with_name)?;
                        entries.tensors.push((name, entry));
                    }
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// Checks every tensor's size and place. They must follow each other without gaps up to the end of the file: the
/// format says so, lest a file hide other data.
fn place(source: &dyn ByteSource, entries: Entries, data_start: u64) -> Result<Header> {
    let mut header = Header::default();
    header.metadata.0 = entries.metadata.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
    let mut spans: Vec<(u64, u64, &String)> = Vec::with_capacity(entries.tensors.len());
    let data_len = source.len() - data_start;
    for (name, entry) in &entries.tensors {
        let fail = |message: String| Err(Error::format(source.name(), format!("tensor {name:?} {message}")));
        let (start, end) = entry.data_offsets;
        if start > end {
            return fail(format!("has data offsets {start}..{end}, which end before they begin"));
        }
        if end > data_len {
            let size = source.len();
            return fail(format!(
                "has data offsets {start}..{end}, but {data_len} bytes of data follow the header (file of {size} bytes): is it complete?"
            ));
        }
        let bytes = end - start;
        let elements = checked_elements(&entry.shape);
        let dims: Option<Vec<usize>> = entry.shape.iter().map(|&d| d.try_into().ok()).collect();
        let (Some(elements), Some(dims)) = (elements, dims) else {
            return fail(format!("has a shape whose size overflows: {:?}", entry.shape));
        };
        let shape = Shape::from(dims);
        let Some(&(_, dtype)) = DTYPES.iter().find(|d| d.0 == entry.dtype) else {
            let dtype = entry.dtype.clone();
            header.unsupported.push(UnsupportedTensor { name: name.clone(), dtype, shape, bytes });
            spans.push((start, end, name));
            continue;
        };
        if elements.checked_mul(dtype.block_bytes() as u64) != Some(bytes) {
            return fail(format!("of shape {shape} and dtype {dtype} has {bytes} bytes"));
        }
        let Ok(size) = usize::try_from(bytes) else {
            // Only a 32-bit machine can fail here: the tensor lies in the file, but not in its address space.
            return Err(Error::OutOfMemory { what: format!("tensor {name:?}"), bytes });
        };
        let offset = data_start + start;
        header.tensors.push(TensorInfo {
            name: name.clone(),
            dtype,
            shape,
            offset,
            bytes: size,
            source: 0,
            encoding: None,
        });
        spans.push((start, end, name));
    }
    spans.sort_unstable();
    let mut covered = 0;
    for (start, end, name) in spans {
        if start != covered {
            let what = if start < covered { "overlaps the one before" } else { "leaves a gap before it" };
            let message = format!("tensor {name:?} at data offset {start} {what}, which ends at {covered}");
            return Err(Error::format(source.name(), message));
        }
        covered = end;
    }
    if covered != data_len {
        let message = format!("the tensors end at data offset {covered}, the file at {data_len}");
        return Err(Error::format(source.name(), message));
    }
    header.tensors.sort_by_key(|t| t.offset);
    Ok(header)
}

/// `model.safetensors.index.json`: which file holds which tensor.
#[derive(Debug, Deserialize)]
pub struct Index {
    /// Tensor name → file name.
    pub weight_map: IndexMap<String, String>,
}

impl Index {
    /// Parses the index; `file` is its name, for messages.
    pub fn from_json(file: &str, json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|e| Error::format(file, format!("is not an index of weights: {e}")))
    }
    /// The files it names, each once, in order of appearance.
    pub fn files(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.weight_map.values().map(String::as_str).filter(|f| seen.insert(*f)).collect()
    }
}
