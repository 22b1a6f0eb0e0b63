//! One face over model files: GGUF, safetensors and PyTorch files (whole or in parts), NumPy's arrays, with the small
//! files beside.

use super::{
    ByteSource, Header, Metadata, TensorInfo, UnsupportedTensor, gguf,
    safetensors::{self, Index},
    source::{check_range, read_all},
};
#[cfg(feature = "python")]
use super::{npy, pytorch, zip};
use crate::{
    backend::{Upload, cpu::Buffer},
    dtype::DType,
    error::{Error, Result},
};
use indexmap::IndexMap;

/// Largest side file (tokenizer.json and the like) that is read as a whole.
const MAX_SIDE_FILE: u64 = 256 << 20;

/// What kind of file the weights are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GGUF.
    Gguf,
    /// safetensors.
    Safetensors,
    /// NumPy's `.npy`: one array, called like the file.
    #[cfg(feature = "python")]
    Npy,
    /// NumPy's `.npz`.
    #[cfg(feature = "python")]
    Npz,
    /// What `torch.save` writes.
    #[cfg(feature = "python")]
    PyTorch,
    /// whisper.cpp's own format.
    Ggml,
}

/// The weights of a model, by name, and the small files that came with them.
pub struct Checkpoint {
    sources: Vec<Box<dyn ByteSource>>,
    kind: Kind,
    metadata: Metadata,
    tensors: IndexMap<String, TensorInfo>,
    unsupported: Vec<UnsupportedTensor>,
    total_bytes: u64,
    /// Source, offset and number of each tensor, in the order in which they arrive.
    order: Vec<(usize, u64, usize)>,
}

impl Kind {
    /// `gguf`, `safetensors`, `npy`, `npz`, `pytorch` or `ggml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            #[cfg(feature = "python")]
            Self::Npy => "npy",
            #[cfg(feature = "python")]
            Self::Npz => "npz",
            #[cfg(feature = "python")]
            Self::PyTorch => "pytorch",
            Self::Ggml => "ggml",
        }
    }
}

/// Finds out from its first bytes what a file is and reads its header; `None` for a file that neither is nor pretends
/// to be weights.
pub async fn read_header(source: &dyn ByteSource) -> Result<Option<(Kind, Header)>> {
    let head = read_all(source, 0, source.len().min(32) as usize).await?;
    let head = head.bytes();
    #[cfg(feature = "python")]
    if let Some(found) = read_python_header(source, head).await? {
        return Ok(Some(found));
    }
    #[cfg(feature = "whisper")]
    if head.starts_with(&super::ggml::MAGIC) {
        return Ok(Some((Kind::Ggml, super::ggml::read_header(source).await?)));
    }
    if head.starts_with(&gguf::MAGIC) {
        Ok(Some((Kind::Gguf, gguf::read_header(source).await?)))
    } else if safetensors::is_safetensors(head) {
        Ok(Some((Kind::Safetensors, safetensors::read_header(source).await?)))
    } else {
        check_not_weights(source, head).map(|()| None)
    }
}

/// The header of a NumPy or PyTorch file; `None` for any other.
#[cfg(feature = "python")]
async fn read_python_header(source: &dyn ByteSource, head: &[u8]) -> Result<Option<(Kind, Header)>> {
    if head.starts_with(&npy::MAGIC) {
        return Ok(Some((Kind::Npy, npy::read_header(source).await?)));
    }
    if pytorch::is_legacy(head) {
        return Ok(Some((Kind::PyTorch, pytorch::read_legacy_header(source).await?)));
    }
    if !zip::is_zip(head) {
        return Ok(None);
    }
    let entries = match zip::read_directory(source).await {
        Ok(entries) => entries,
        Err(error) if claims_weights(source) => return Err(error),
        Err(_) => return Ok(None),
    };
    if pytorch::pickle_of(&entries).is_some() {
        return Ok(Some((Kind::PyTorch, pytorch::read_archive_header(source, entries).await?)));
    }
    if entries.iter().any(|e| e.name.ends_with(".npy")) || base_name(source.name()).ends_with(".npz") {
        return Ok(Some((Kind::Npz, npy::read_archive_header(source, entries).await?)));
    }
    Ok(None)
}

impl Checkpoint {
    /// Opens all files of one model, in any order: the parts of its GGUF, its safetensors or its PyTorch files, and any
    /// others (`config.json`, `tokenizer.json` …), which stay readable with [`Checkpoint::side_file`].
    ///
    /// What a source is follows from its first bytes, not from its name. Only headers are read.
    ///
    /// # Errors
    /// When a header is wrong, a part is missing, or no source holds weights.
    pub async fn open(sources: Vec<Box<dyn ByteSource>>) -> Result<Self> {
        let mut files = Vec::new();
        let mut kind = None;
        for (index, source) in sources.iter().enumerate() {
            let Some((found, mut header)) = read_header(source.as_ref()).await? else { continue };
            if *kind.get_or_insert(found) != found {
                return Err(Error::format(source.name(), "is of another format than the other files of the model"));
            }
            header.tensors.iter_mut().for_each(|t| t.source = index);
            files.push((source.name(), header));
        }
        let Some(kind) = kind else {
            let names: Vec<_> = sources.iter().map(|s| s.name()).collect();
            return Err(Error::format(names.join(", "), format!("no weights here: {READABLE}")));
        };
        match kind {
            Kind::Gguf => order_splits(&mut files)?,
            Kind::Ggml if files.len() > 1 => {
                let names: Vec<_> = files.iter().map(|f| f.0).collect();
                return Err(Error::format(names.join(", "), "whisper.cpp files of several models: open one"));
            }
            Kind::Ggml => {}
            _ => {
                files.sort_by_key(|f| f.0);
                check_shards(&sources, &files).await?;
            }
        }
        let (metadata, tensors, unsupported) = merge(files)?;
        let total_bytes = tensors.values().map(|t| t.bytes as u64).sum();
        let mut order: Vec<_> = tensors.values().enumerate().map(|(i, t)| (t.source, t.offset, i)).collect();
        order.sort_unstable();
        Ok(Self { sources, kind, metadata, tensors, unsupported, total_bytes, order })
    }

    /// The format of the weights.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// Names of the tensors, in file order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
    /// All tensors, in file order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.tensors.values()
    }
    /// Tensors of types that cannot be read.
    pub fn unsupported(&self) -> &[UnsupportedTensor] {
        &self.unsupported
    }
    /// Dtype, shape and size of a tensor; `None` when there is none of that name, or it is of an unsupported type.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }
    /// As [`Checkpoint::info`], with an error that says whether the tensor is missing or of an unsupported type.
    pub fn require(&self, name: &str) -> Result<&TensorInfo> {
        self.tensors.get(name).ok_or_else(|| match self.unsupported.iter().find(|t| t.name == name) {
            Some(t) => Error::weight(name, format!("is stored as {}, which cannot be read", t.dtype)),
            None => Error::weight(name, format!("is not in {}", self.files().collect::<Vec<_>>().join(", "))),
        })
    }
    /// The metadata of a GGUF or whisper.cpp file, of its first part if split (without the `split.` keys, since the
    /// parts are one here); `None` for other formats.
    pub fn metadata(&self) -> Option<&Metadata> {
        matches!(self.kind, Kind::Gguf | Kind::Ggml).then_some(&self.metadata)
    }
    /// What the header says beside the tensors, whatever the format (safetensors: the `__metadata__` strings; PyTorch:
    /// the numbers and texts of the pickle).
    pub fn header_metadata(&self) -> &Metadata {
        &self.metadata
    }
    /// Bytes of all readable tensors.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }
    /// Names of the files that it was opened from, in the order given.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &str> {
        self.sources.iter().map(|s| s.name())
    }

    /// The bytes of a tensor: shared with the map when the file is memory-mapped and the place is aligned for the
    /// dtype, else copied into memory of its own, in pieces of at most 8 MB.
    pub async fn read(&self, name: &str) -> Result<Buffer> {
        let info = self.require(name)?;
        read_tensor(self.sources[info.source].as_ref(), info).await
    }

    /// Tensors that lie before this one in its file, in the file's order; none where that order does not matter.
    pub(crate) fn arriving_before<'a>(
        &'a self,
        info: &TensorInfo,
    ) -> impl Iterator<Item = (&'a str, &'a TensorInfo)> + use<'a> {
        let before =
            |of: usize, at: u64| self.order.partition_point(|&(source, offset, _)| (source, offset) < (of, at));
        let (start, end) = match self.sources[info.source].is_stream() {
            true => (before(info.source, 0), before(info.source, info.offset)),
            false => (0, 0),
        };
        let found = self.order[start..end].iter().filter_map(|&(_, _, index)| self.tensors.get_index(index));
        found.map(|(name, info)| (name.as_str(), info))
    }

    /// Hands the bytes of a tensor to a device, a piece at a time. Only of tensors whose elements lie in the file as they are
    /// held: where [`TensorInfo::encoding`] is `None`.
    pub(crate) async fn pour(&self, info: &TensorInfo, into: &mut dyn Upload) -> Result<()> {
        let source = self.sources[info.source].as_ref();
        check_range(source, info.offset, info.bytes)?;
        source.pour(info.offset, info.bytes, into).await
    }

    /// A whole file that came with the weights, found by its name without folders; `None` when there is none.
    pub async fn side_file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(source) = self.sources.iter().find(|s| base_name(s.name()) == name) else {
            return Ok(None);
        };
        read_side_file(source.as_ref()).await.map(Some)
    }
}

/// The bytes of a tensor in row-major order, aligned for its elements.
pub(super) async fn read_tensor(source: &dyn ByteSource, info: &TensorInfo) -> Result<Buffer> {
    #[cfg(feature = "python")]
    if let Some(encoding) = &info.encoding {
        return encoding.read(source, info).await;
    }
    aligned(read_all(source, info.offset, info.bytes).await?, info.dtype)
}

/// The same bytes where elements can be read in place; block formats are read bytewise.
pub(super) fn aligned(buffer: Buffer, dtype: DType) -> Result<Buffer> {
    let alignment = if dtype.is_quantized() { 1 } else { dtype.block_bytes() };
    if (buffer.bytes().as_ptr() as usize).is_multiple_of(alignment) {
        return Ok(buffer);
    }
    Buffer::copy_from(buffer.bytes())
}

async fn read_side_file(source: &dyn ByteSource) -> Result<Vec<u8>> {
    if source.len() > MAX_SIDE_FILE {
        let message = format!("has {} bytes; at most {MAX_SIDE_FILE} are read as a whole", source.len());
        return Err(Error::format(source.name(), message));
    }
    Ok(read_all(source, 0, source.len() as usize).await?.bytes().to_vec())
}

/// The last part of a path or address.
pub(super) fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// What a file of weights is.
#[cfg(feature = "python")]
const READABLE: &str = "neither a GGUF, a safetensors, a PyTorch nor a NumPy file";
#[cfg(not(feature = "python"))]
const READABLE: &str = "neither a GGUF nor a safetensors file";

/// An error if a file that holds no weights by its bytes pretends to by its name; the message says what it looks like.
fn check_not_weights(source: &dyn ByteSource, head: &[u8]) -> Result<()> {
    let looks = match head {
        [b'P', b'K', 3, 4, ..] if cfg!(feature = "python") => "a zip archive, but neither PyTorch's nor NumPy's",
        [b'P', b'K', 3, 4, ..] => "a zip archive, as PyTorch writes",
        [0x80, 2..=5, ..] if cfg!(feature = "python") => "a Python pickle that torch.save did not write",
        [0x80, 2..=5, ..] => "a Python pickle, as old PyTorch writes",
        _ if [b"tjgg", b"lmgg", b"fmgg"].iter().any(|m| head.starts_with(*m)) => "an old ggml file, from before GGUF",
        _ if head.starts_with(b"version https:") => "a Git LFS pointer, not the file it points to",
        [b'<', ..] => "a web page: was the address right?",
        [] => "an empty file",
        _ => READABLE,
    };
    if claims_weights(source) {
        let head = &head[..head.len().min(16)];
        return Err(Error::format(
            source.name(),
            format!("is {looks} ({} bytes, beginning {head:02x?}); {CAN_BE_READ}", source.len()),
        ));
    }
    Ok(())
}

/// Does the name promise weights?
fn claims_weights(source: &dyn ByteSource) -> bool {
    let name = base_name(source.name()).to_ascii_lowercase();
    [".gguf", ".safetensors", ".bin", ".pt", ".pth", ".npy", ".npz"].iter().any(|end| name.ends_with(end))
}

#[cfg(feature = "python")]
const CAN_BE_READ: &str = "GGUF, safetensors, PyTorch and NumPy files can be read";
#[cfg(not(feature = "python"))]
const CAN_BE_READ: &str = "GGUF and safetensors can be read";

type Files<'a> = Vec<(&'a str, Header)>;

/// Sorts the parts of a split GGUF, checks that all are there, and leaves the metadata in the first.
fn order_splits(files: &mut Files<'_>) -> Result<()> {
    let number = |header: &Header, key: &str| header.metadata.uint(key);
    let count = number(&files[0].1, "split.count").filter(|&n| n > 1).unwrap_or(1);
    let names: Vec<_> = files.iter().map(|f| f.0).collect();
    let names = names.join(", ");
    if count == 1 {
        return match files.len() {
            1 => Ok(()),
            n => Err(Error::format(names, format!("{n} GGUF files that are not parts of one model: open one"))),
        };
    }
    let mut missing: Vec<u64> = (0..count.min(1000)).collect();
    for (name, header) in files.iter() {
        let part = number(header, "split.no").filter(|&no| no < count);
        if number(header, "split.count") != Some(count) || part.is_none() {
            return Err(Error::format(*name, format!("is not a part of the same split model of {count} files")));
        }
        missing.retain(|&no| Some(no) != part);
    }
    if !missing.is_empty() || files.len() as u64 != count {
        let missing: Vec<_> = missing.iter().map(|no| (no + 1).to_string()).collect();
        let message = format!(
            "is a model split into {count} files, {} were given; missing: {}; open them all together",
            files.len(),
            missing.join(", ")
        );
        return Err(Error::format(names, message));
    }
    files.sort_by_key(|(_, header)| number(header, "split.no"));
    let tensors: usize = files.iter().map(|(_, h)| h.tensors.len() + h.unsupported.len()).sum();
    if let Some(n) = number(&files[0].1, "split.tensors.count")
        && n != tensors as u64
    {
        return Err(Error::format(names, format!("hold {tensors} tensors together; split.tensors.count is {n}")));
    }
    files[0].1.metadata.0.retain(|key, _| !key.starts_with("split."));
    Ok(())
}

/// Checks the given safetensors or PyTorch files against the index, or against the number of files that their names tell.
async fn check_shards(sources: &[Box<dyn ByteSource>], files: &Files<'_>) -> Result<()> {
    let have = |wanted: &str| files.iter().find(|(name, _)| base_name(name) == base_name(wanted));
    if let Some(source) = sources.iter().find(|s| s.name().ends_with(".index.json")) {
        let index = Index::from_json(source.name(), &read_side_file(source.as_ref()).await?)?;
        let missing: Vec<_> = index.files().into_iter().filter(|file| have(file).is_none()).collect();
        if !missing.is_empty() {
            return Err(Error::format(source.name(), format!("names files that are missing: {}", missing.join(", "))));
        }
        let held: IndexMap<&str, std::collections::HashSet<&str>> = files
            .iter()
            .map(|(file, h)| {
                let names = h.tensors.iter().map(|t| t.name.as_str());
                (base_name(file), names.chain(h.unsupported.iter().map(|t| t.name.as_str())).collect())
            })
            .collect();
        for (tensor, file) in &index.weight_map {
            if !held.get(base_name(file)).is_some_and(|names| names.contains(tensor.as_str())) {
                return Err(Error::format(
                    source.name(),
                    format!("places tensor {tensor:?} in {file}: it is not there"),
                ));
            }
        }
        return Ok(());
    }
    for (name, _) in files {
        let Some((stem, count, ending)) = shard_name(name) else { continue };
        let part = |no: u64| format!("{stem}-{no:05}-of-{count:05}{ending}");
        if let Some(missing) = (1..=count).map(part).find(|file| have(file).is_none()) {
            return Err(Error::format(*name, format!("is one of {count} files; {missing} is missing")));
        }
    }
    Ok(())
}

/// `stem-00001-of-00003.safetensors` → (`stem`, 3, `.safetensors`).
fn shard_name(name: &str) -> Option<(&str, u64, &str)> {
    let (rest, ending) = base_name(name).rsplit_once('.').filter(|(_, e)| ["safetensors", "bin"].contains(e))?;
    let (rest, count) = rest.rsplit_once("-of-")?;
    let (stem, no) = rest.rsplit_once('-')?;
    let number = |s: &str| (s.len() == 5).then(|| s.parse::<u64>().ok()).flatten();
    number(no)?;
    Some((stem, number(count)?, &base_name(name)[base_name(name).len() - ending.len() - 1..]))
}

type Merged = (Metadata, IndexMap<String, TensorInfo>, Vec<UnsupportedTensor>);

/// One table of all files' tensors; the first file's metadata.
fn merge(files: Files<'_>) -> Result<Merged> {
    let mut tensors = IndexMap::new();
    let mut unsupported = Vec::new();
    let mut metadata = Metadata::default();
    for (name, header) in files {
        if metadata.0.is_empty() {
            metadata = header.metadata;
        }
        for tensor in header.tensors {
            if let Some(twice) = tensors.insert(tensor.name.clone(), tensor) {
                return Err(Error::format(name, format!("tensor {:?} is also in another file", twice.name)));
            }
        }
        unsupported.extend(header.unsupported);
    }
    Ok((metadata, tensors, unsupported))
}
