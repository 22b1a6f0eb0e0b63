//! NumPy's files: `.npy`, one array (versions 1 to 3 of the format), and `.npz`, a zip archive of named arrays.
//!
//! Integers of 8 and 16 bits that have no dtype here (`i1`, `i2`, `u2`) are read as [`DType::I32`], booleans as
//! [`DType::U8`]. Format: `numpy.lib.format`.

use super::{
    ByteSource, Checkpoint, Header, TensorInfo, UnsupportedTensor, checked_elements,
    encoding::{Encoding, Raw},
    source::read_all,
    zip,
};
use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
    tensor::Tensor,
};
use indexmap::IndexMap;
use std::{collections::HashSet, io::Write};

/// How a file begins.
pub(super) const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// Longest header: NumPy itself refuses more than 10,000 characters of files that it does not trust.
const MAX_HEADER: usize = 64 << 10;
/// Headers that we write fill up to a multiple of this, as NumPy's do.
const ALIGNMENT: usize = 64;
/// Most dimensions of a NumPy array.
const MAX_DIMS: usize = 64;

/// Type codes behind the byte order.
const TYPES: [(&str, Raw); 11] = [
    ("f4", Raw::Same(DType::F32)),
    ("f2", Raw::Same(DType::F16)),
    ("f8", Raw::Same(DType::F64)),
    ("i8", Raw::Same(DType::I64)),
    ("i4", Raw::Same(DType::I32)),
    ("u4", Raw::Same(DType::U32)),
    ("u1", Raw::Same(DType::U8)),
    ("b1", Raw::Same(DType::U8)),
    ("i1", Raw::I8),
    ("i2", Raw::I16),
    ("u2", Raw::U16),
];

/// An array's header.
struct ArrayHeader {
    /// With its byte order: `<f4`.
    descr: String,
    fortran: bool,
    shape: Vec<u64>,
    /// Where the elements begin.
    data: usize,
}

/// Reads the header of a `.npy` file. Its tensor is called like the file, without folder and ending.
pub(super) async fn read_header(source: &dyn ByteSource) -> Result<Header> {
    let head = read_all(source, 0, source.len().min(MAX_HEADER as u64) as usize).await?;
    let base = super::checkpoint::base_name(source.name());
    let name = base.strip_suffix(".npy").unwrap_or(base);
    let mut header = Header::default();
    add(source.name(), name, head.bytes(), source.len(), Place::File, &mut header)?;
    Ok(header)
}

/// Reads the headers of all arrays in a `.npz` file.
pub(super) async fn read_archive_header(source: &dyn ByteSource, entries: Vec<zip::Entry>) -> Result<Header> {
    let mut header = Header::default();
    let mut names = HashSet::new();
    for entry in &entries {
        let Some(name) = entry.name.strip_suffix(".npy") else { continue };
        if !names.insert(name) {
            return Err(Error::format(source.name(), format!("array {name:?} appears twice")));
        }
        // Nearly all headers end before the first length.
        let mut head = entry.read_head(source, 256).await?;
        if matches!(parse(head.bytes()), Err(Flaw::Short)) {
            head = entry.read_head(source, MAX_HEADER as u64).await?;
        }
        add(source.name(), name, head.bytes(), entry.size, Place::Entry(entry), &mut header)?;
    }
    Ok(header)
}

enum Place<'a> {
    File,
    Entry(&'a zip::Entry),
}

/// Adds the array whose file or entry of `len` bytes begins with `head`.
fn add(file: &str, name: &str, head: &[u8], len: u64, place: Place<'_>, header: &mut Header) -> Result<()> {
    let fail = |message: String| Err(Error::format(file, format!("array {name:?} {message}")));
    let array = match parse(head) {
        Ok(array) => array,
        Err(Flaw::Short) => return fail("has a header that does not end: is it complete?".into()),
        Err(Flaw::Wrong(what)) => return fail(format!("has no NumPy header: {what}")),
    };
    let bytes = len - array.data as u64;
    let elements = checked_elements(&array.shape);
    let dims: Option<Vec<usize>> = array.shape.iter().map(|&d| d.try_into().ok()).collect();
    let (Some(elements), Some(dims)) = (elements, dims) else {
        return fail(format!("has a shape whose size overflows: {:?}", array.shape));
    };
    let shape = Shape::from(dims);
    let (order, code) = array.descr.split_at(array.descr.len().min(1));
    let Some(&(_, raw)) = TYPES.iter().find(|t| t.0 == code && ["<", ">", "|", "="].contains(&order)) else {
        let dtype = array.descr;
        header.unsupported.push(UnsupportedTensor { name: name.into(), dtype, shape, bytes });
        return Ok(());
    };
    if elements.checked_mul(raw.size() as u64) != Some(bytes) {
        return fail(format!("of shape {shape} and type {:?} has {bytes} bytes: is it complete?", array.descr));
    }
    let (Ok(span), Some(size)) =
        (usize::try_from(elements), raw.dtype().bytes_for(shape.elements()).filter(|&n| n <= isize::MAX as usize))
    else {
        return Err(Error::OutOfMemory { what: format!("array {name:?}"), bytes });
    };
    let strides = if array.fortran { fortran_strides(shape.dims()) } else { shape.strides() };
    let (offset, deflated) = match place {
        Place::File => (array.data as u64, None),
        Place::Entry(entry) if entry.deflated => (entry.offset, Some((entry.clone(), array.data as u64))),
        Place::Entry(entry) => (entry.offset + array.data as u64, None),
    };
    let encoding = Encoding { deflated, raw, big_endian: order == ">", strides, span };
    let encoding = (!encoding.is_plain(shape.dims())).then(|| Box::new(encoding));
    header.tensors.push(TensorInfo {
        name: name.into(),
        dtype: raw.dtype(),
        shape,
        offset,
        bytes: size,
        source: 0,
        encoding,
    });
    Ok(())
}

/// Strides with the first index running fastest.
fn fortran_strides(dims: &[usize]) -> Vec<usize> {
    let mut next = 1usize;
    let mut stride = |&size: &usize| {
        let stride = next;
        next = next.saturating_mul(size);
        stride
    };
    dims.iter().map(&mut stride).collect()
}

/// Why a header could not be read.
enum Flaw {
    /// It goes on behind the bytes given.
    Short,
    Wrong(String),
}

fn parse(head: &[u8]) -> Result<ArrayHeader, Flaw> {
    let wrong = |what: &str| Err(Flaw::Wrong(what.to_string()));
    if !head.starts_with(&MAGIC) {
        return wrong("it does not begin as one");
    }
    let (start, len) = match *head.get(6..).unwrap_or_default() {
        [1, _, a, b, ..] => (10, u16::from_le_bytes([a, b]) as usize),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        [version, _, _, _, ..] if version == 0 || version > 3 => return wrong("its version is not 1, 2 or 3"),
        _ => return Err(Flaw::Short),
    };
    if len > MAX_HEADER - start {
        return wrong("it is longer than 64 KB");
    }
    let data = start + len;
    let text = head.get(start..data).ok_or(Flaw::Short)?;
    let Ok(text) = std::str::from_utf8(text) else { return wrong("it is not text") };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    let mut literal = Literal(text.trim());
    literal.expect('{')?;
    while !literal.skip('}') {
        let key = literal.string()?;
        literal.expect(':')?;
        match key {
            "descr" if literal.0.starts_with('[') => {
                return wrong("arrays of records (structured types) cannot be read");
            }
            "descr" => descr = Some(literal.string()?.to_string()),
            "fortran_order" => fortran = Some(literal.boolean()?),
            "shape" => shape = Some(literal.tuple()?),
            other => return wrong(&format!("it has an unknown key {other:?}")),
        }
        if !literal.skip(',') && !literal.0.starts_with('}') {
            return wrong("a comma is missing");
        }
    }
    match (descr, fortran, shape) {
        (Some(descr), Some(fortran), Some(shape)) => Ok(ArrayHeader { descr, fortran, shape, data }),
        _ => wrong("descr, fortran_order or shape is missing"),
    }
}

/// What is left of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn skip(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }
    fn expect(&mut self, c: char) -> Result<(), Flaw> {
        if self.skip(c) { Ok(()) } else { Err(Flaw::Wrong(format!("{c:?} is missing"))) }
    }
    fn string(&mut self) -> Result<&'a str, Flaw> {
        let quote = self.0.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let inner = quote.and_then(|q| self.0[1..].split_once(q));
        let (text, rest) = inner.ok_or_else(|| Flaw::Wrong("a text is missing".into()))?;
        self.0 = rest.trim_start();
        Ok(text)
    }
    fn boolean(&mut self) -> Result<bool, Flaw> {
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest.trim_start();
                return Ok(value);
            }
        }
        Err(Flaw::Wrong("fortran_order is neither True nor False".into()))
    }
    /// Whole numbers in round brackets; Python 2 wrote `3L`.
    fn tuple(&mut self) -> Result<Vec<u64>, Flaw> {
        self.expect('(')?;
        let mut numbers = Vec::new();
        while !self.skip(')') {
            let digits = self.0.len() - self.0.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number = self.0[..digits].parse().map_err(|_| Flaw::Wrong("the shape is no list of sizes".into()))?;
            numbers.push(number);
            if numbers.len() > MAX_DIMS {
                return Err(Flaw::Wrong(format!("the shape has more than {MAX_DIMS} dimensions")));
            }
            self.0 = self.0[digits..].trim_start_matches('L').trim_start();
            if !self.skip(',') && !self.0.starts_with(')') {
                return Err(Flaw::Wrong("the shape is no list of sizes".into()));
            }
        }
        Ok(numbers)
    }
}

/// Reads a `.npy` file (`numpy.load`). An array in Fortran order comes as a transposed view; nothing is reordered.
///
/// ```
/// # pollster::block_on(async {
/// use votive::{Device, Tensor, format::{MemorySource, npy}};
/// let x = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
/// let mut file = Vec::new();
/// npy::write(&mut file, "x.npy", &x).await?;
/// let y = npy::read(&MemorySource::new("x.npy", file), &Device::cpu()).await?;
/// assert_eq!(y.to_vec::<f32>().await?, [1.0, 2.0, 3.0, 4.0]);
///
/// let file = npy::write_archive(Vec::new(), "xs.npz", &[("x", &x), ("y", &y)], npy::Compression::Deflate).await?;
/// let arrays = npy::read_archive(Box::new(MemorySource::new("xs.npz", file)), &Device::cpu()).await?;
/// assert_eq!(arrays["y"].dims(), [2, 2]);
/// # Ok::<(), votive::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`Error::Format`] for files that are wrong or cut, or of a type that no tensor has.
pub async fn read(source: &dyn ByteSource, device: &Device) -> Result<Tensor> {
    let mut header = read_header(source).await?;
    if let Some(unsupported) = header.unsupported.first() {
        let message = format!("is stored as {}, which cannot be read", unsupported.dtype);
        return Err(Error::format(source.name(), message));
    }
    let Some(info) = header.tensors.pop() else {
        return Err(Error::format(source.name(), "holds no array"));
    };
    match &info.encoding {
        Some(encoding) if encoding.strides != info.shape.strides() => {
            let elements = encoding.read_elements(source, &info).await?;
            let reversed: Vec<usize> = info.shape.dims().iter().rev().copied().collect();
            let order: Vec<usize> = (0..reversed.len()).rev().collect();
            Tensor::from_buffer(elements, info.dtype, reversed, device)?.permute(order)
        }
        _ => {
            let buffer = super::checkpoint::read_tensor(source, &info).await?;
            Tensor::from_buffer(buffer, info.dtype, info.shape, device)
        }
    }
}

/// Reads all arrays of a `.npz` file (`numpy.load`), by name. To read only some of them, open it as a [`Checkpoint`].
///
/// # Errors
/// As [`read`]; when the file is no such archive.
pub async fn read_archive(source: Box<dyn ByteSource>, device: &Device) -> Result<IndexMap<String, Tensor>> {
    let checkpoint = Checkpoint::open(vec![source]).await?;
    let mut arrays = IndexMap::new();
    if let Some(unsupported) = checkpoint.unsupported().first() {
        checkpoint.require(&unsupported.name)?;
    }
    for info in checkpoint.tensors() {
        let bytes = checkpoint.read(&info.name).await?;
        arrays.insert(info.name.clone(), Tensor::from_buffer(bytes, info.dtype, &info.shape, device)?);
    }
    Ok(arrays)
}

/// Writes a tensor as a `.npy` file (`numpy.save`), in row-major order, little-endian; `file` is its name, for messages.
///
/// # Errors
/// [`Error::Weight`] for dtypes that NumPy has not (bf16, block formats); [`Error::Io`].
pub async fn write(out: &mut impl Write, file: &str, tensor: &Tensor) -> Result<()> {
    let header = header_of(file, tensor)?;
    let bytes = tensor.to_buffer().await?;
    let io = |source| Error::Io { path: file.to_string(), source };
    out.write_all(&header).map_err(io)?;
    out.write_all(bytes.bytes()).map_err(io)
}

/// How the arrays of an archive are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are (`numpy.savez`); a mapped file's arrays can be used in place.
    Stored,
    /// Deflated (`numpy.savez_compressed`).
    Deflate,
}

/// Writes tensors under their names as a `.npz` file (`numpy.savez`), and gives the output back; `file` is its name,
/// for messages.
///
/// # Errors
/// As [`write()`]; when a name appears twice.
pub async fn write_archive<W: Write>(
    out: W,
    file: &str,
    tensors: &[(&str, &Tensor)],
    compression: Compression,
) -> Result<W> {
    let mut writer = zip::Writer::new(out, file);
    for (index, (name, tensor)) in tensors.iter().enumerate() {
        if tensors[..index].iter().any(|t| t.0 == *name) {
            return Err(Error::weight(*name, format!("is given twice for {file}")));
        }
        let header = header_of(name, tensor)?;
        let bytes = tensor.to_buffer().await?;
        writer.add(&format!("{name}.npy"), &[&header, bytes.bytes()], compression == Compression::Deflate)?;
    }
    writer.finish()
}

/// The header of a tensor's array, version 1 of the format unless it is too long for that.
fn header_of(name: &str, tensor: &Tensor) -> Result<Vec<u8>> {
    let dtype = tensor.dtype();
    let Some((code, _)) = TYPES.iter().find(|t| t.1 == Raw::Same(dtype)) else {
        return Err(Error::weight(name, format!("NumPy has no dtype {dtype}; cast it with to_dtype")));
    };
    let order = if dtype.block_bytes() == 1 { '|' } else { '<' };
    let sizes: String = tensor.dims().iter().map(|d| format!("{d}, ")).collect();
    let sizes = if tensor.rank() > 1 { sizes.trim_end_matches(", ") } else { sizes.trim_end() };
    let mut text = format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let wide = text.len() + ALIGNMENT > u16::MAX.into();
    let start = if wide { 12 } else { 10 };
    let len = (start + text.len() + 1).next_multiple_of(ALIGNMENT) - start;
    text.extend(std::iter::repeat_n(' ', len - text.len() - 1));
    text.push('\n');
    let mut header = MAGIC.to_vec();
    match wide {
        true => [&[2, 0][..], &(len as u32).to_le_bytes()].iter().for_each(|b| header.extend(*b)),
        false => [&[1, 0][..], &(len as u16).to_le_bytes()].iter().for_each(|b| header.extend(*b)),
    }
    header.extend(text.bytes());
    Ok(header)
}
