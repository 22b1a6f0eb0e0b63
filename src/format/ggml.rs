//! Reading whisper.cpp's model files (`ggml-base.bin` and the like): sizes, mel filters, vocabulary, then tensors one after
//! the other, each behind its own head.
//!
//! The sizes become metadata `whisper.*`, the vocabulary `whisper.vocabulary`, in the byte alphabet of GPT-2. Tensors have
//! OpenAI's names.

use super::{ByteSource, Header, TensorInfo, Value, checked_elements, source::read_all};
use crate::{
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
    text::byte_to_char,
};
use std::collections::HashSet;

/// How such files begin: `ggml` as a little-endian number.
pub const MAGIC: [u8; 4] = *b"lmgg";

/// Keys of the sizes, in file order.
const SIZES: [&str; 10] = [
    "vocab_size",
    "audio_context",
    "audio_state",
    "audio_heads",
    "audio_layers",
    "text_context",
    "text_state",
    "text_heads",
    "text_layers",
    "mel_bins",
];
/// No model has a size above this.
const MOST: u64 = 1 << 20;
/// Most tokens, longest token and longest tensor name in bytes.
const LIMITS: (u64, u64, u64) = (1 << 18, 1 << 12, 1 << 8);
/// Bytes read at once: of the vocabulary, and of the heads of tensors, which lie far apart.
const CHUNKS: (usize, usize) = (64 << 10, 512);

/// Reads the header of a whisper.cpp file, and the head of every tensor.
///
/// # Errors
/// [`Error::Format`] for files that are cut, that lie, or that hold another model than Whisper.
pub async fn read_header(source: &dyn ByteSource) -> Result<Header> {
    let mut cursor = Cursor { source, window: Vec::new(), start: 0, at: 0, chunk: CHUNKS.0, what: "the header".into() };
    if cursor.take(4).await? != MAGIC {
        return Err(cursor.error("does not begin as a whisper.cpp file"));
    }
    let mut header = Header::default();
    let metadata = &mut header.metadata.0;
    metadata.insert("general.architecture".into(), Value::String("whisper".into()));
    for name in SIZES {
        let value = cursor.number(MOST, name).await?;
        metadata.insert(format!("whisper.{name}"), Value::U32(value as u32));
    }
    cursor.take(4).await?; // which types the tensors have: they say it themselves
    let bins = cursor.number(MOST, "the number of mel filters").await?;
    let size = cursor.number(MOST, "the size of mel filters").await?;
    cursor.skip(bins * size * 4)?;
    let count = cursor.number(LIMITS.0, "the size of the vocabulary").await?;
    let mut vocabulary = Vec::new();
    for id in 0..count {
        cursor.what = format!("token {id}");
        let len = cursor.number(LIMITS.1, "its length").await?;
        vocabulary.push(cursor.take(len as usize).await?.iter().copied().map(byte_to_char).collect());
    }
    header.metadata.0.insert("whisper.vocabulary".into(), Value::Strings(vocabulary));
    cursor.chunk = CHUNKS.1;
    let mut names = HashSet::new();
    while cursor.position() < source.len() {
        let tensor = read_tensor(&mut cursor).await?;
        if !names.insert(tensor.name.clone()) {
            return Err(cursor.error("appears twice"));
        }
        header.tensors.push(tensor);
    }
    Ok(header)
}

async fn read_tensor(cursor: &mut Cursor<'_>) -> Result<TensorInfo> {
    cursor.what = "the head of a tensor".into();
    let rank = cursor.number(4, "the number of dimensions").await?;
    let len = cursor.number(LIMITS.2, "the length of its name").await?;
    let kind = cursor.number(u64::from(u32::MAX), "its type").await? as u32;
    let mut dims = Vec::new();
    for _ in 0..rank {
        dims.push(cursor.number(u64::from(u32::MAX), "a dimension").await?);
    }
    dims.reverse();
    let name = cursor.take(len as usize).await?.to_vec();
    let Ok(name) = String::from_utf8(name) else { return Err(cursor.error("its name is no text")) };
    cursor.what = format!("tensor {name:?}");
    let Some(dtype) = DType::from_gguf_id(kind) else { return Err(cursor.error(format!("unknown type {kind}"))) };
    // Biases of convolutions are stored as columns.
    if name.ends_with(".bias") && dims.len() == 2 && dims[1] == 1 {
        dims.pop();
    }
    let sizes = dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<_>>>();
    let bytes = checked_elements(&dims).and_then(|n| usize::try_from(n).ok()).and_then(|n| dtype.bytes_for(n));
    let (Some(sizes), Some(bytes)) = (sizes, bytes) else {
        return Err(cursor.error(format!("shape {dims:?} of {dtype} is impossible")));
    };
    if !dims.last().is_none_or(|&row| row.is_multiple_of(dtype.block_len() as u64)) {
        return Err(cursor.error(format!("shape {dims:?} has rows that are no whole blocks of {dtype}")));
    }
    let offset = cursor.position();
    cursor.skip(bytes as u64)?;
    Ok(TensorInfo { name, dtype, shape: Shape::from(sizes), offset, bytes, source: 0, encoding: None })
}

/// Reads from a source, a chunk at a time.
struct Cursor<'a> {
    source: &'a dyn ByteSource,
    /// Bytes of the file from `start` on.
    window: Vec<u8>,
    start: u64,
    /// Where in the window (or behind it) the next byte is.
    at: u64,
    chunk: usize,
    /// What is being read, for messages.
    what: String,
}

impl Cursor<'_> {
    fn position(&self) -> u64 {
        self.start + self.at
    }
    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::format(self.source.name(), format!("{}: {message} (at byte {})", self.what, self.position()))
    }
    /// Passes over bytes, which must be there.
    fn skip(&mut self, bytes: u64) -> Result<()> {
        let left = self.source.len() - self.position();
        if bytes > left {
            return Err(self.error(format!("has {bytes} bytes, but the file ends after {left}: is it complete?")));
        }
        self.at += bytes;
        Ok(())
    }
    /// The next `len` bytes.
    async fn take(&mut self, len: usize) -> Result<&[u8]> {
        let position = self.position();
        self.skip(len as u64)?;
        if self.at > self.window.len() as u64 {
            let left = self.source.len() - position;
            let chunk = (self.chunk.max(len) as u64).min(left) as usize;
            self.window = read_all(self.source, position, chunk).await?.bytes().to_vec();
            (self.start, self.at) = (position, len as u64);
        }
        let end = self.at as usize;
        Ok(&self.window[end - len..end])
    }
    /// A number of four bytes, from 0 to `most`.
    async fn number(&mut self, most: u64, what: &str) -> Result<u64> {
        let bytes = self.take(4).await?;
        let value = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        match u64::from(value) {
            value if value <= most => Ok(value),
            value => Err(self.error(format!("{what} is {value}: not a whisper.cpp file, or damaged"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::MemorySource;

    /// A file of one token and one tensor `[2, 3]` of f16, with a bias as whisper.cpp stores it.
    fn file() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let mut put = |numbers: &[u32]| numbers.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        put(&[51_864, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 1]);
        put(&[1, 2, 0, 0]);
        put(&[2, 1]);
        bytes.push(b' ');
        let mut put = |numbers: &[u32]| numbers.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        put(&[2]);
        bytes.extend([0xe3, 0x81]);
        for (name, kind, dims, size) in [("a.weight", 1u32, [3u32, 2], 12), ("c.bias", 0, [1, 2], 8)] {
            [2, name.len() as u32, kind, dims[0], dims[1]].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
            bytes.extend(name.as_bytes());
            bytes.extend(vec![0; size]);
        }
        bytes
    }

    fn read(bytes: Vec<u8>) -> Result<Header> {
        pollster::block_on(read_header(&MemorySource::new("model.bin", bytes)))
    }

    #[test]
    fn sizes_vocabulary_and_tensors() {
        let header = read(file()).unwrap();
        assert_eq!(header.metadata.uint("whisper.audio_layers"), Some(4));
        assert_eq!(header.metadata.strings("whisper.vocabulary").unwrap(), ["Ġ", "ãģ"]);
        let shapes: Vec<_> =
            header.tensors.iter().map(|t| (t.name.as_str(), t.shape.dims().to_vec(), t.bytes)).collect();
        assert_eq!(shapes, [("a.weight", vec![2, 3], 12), ("c.bias", vec![2], 8)]);
        assert_eq!(header.tensors[1].offset as usize + 8, file().len());
    }

    /// A file cut anywhere, and a file with any byte changed, is an error or a header whose tensors lie in the file.
    #[test]
    fn lies_are_found() {
        let good = file();
        let ends: Vec<u64> = read(good.clone()).unwrap().tensors.iter().map(|t| t.offset + t.bytes as u64).collect();
        for len in 0..good.len() {
            // Cut between two tensors it is a whole file, of fewer tensors.
            let whole = ends.contains(&(len as u64)) || len as u64 == ends[0] - 12 - 28;
            assert_eq!(read(good[..len].to_vec()).is_ok(), whole, "{len} bytes");
        }
        for at in 0..good.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                if let Ok(header) = read(bad) {
                    assert!(header.tensors.iter().all(|t| t.offset + t.bytes as u64 <= good.len() as u64), "byte {at}");
                }
            }
        }
    }
}
