//! The directory of an archive, and the bytes of an entry.

use super::{DEFLATED, DIRECTORY_ENTRY, END, END64, END64_LOCATOR, EXTRA64, LOCAL_HEADER, STORED};
use crate::{
    backend::cpu::Buffer,
    error::{Error, Result},
    format::{ByteSource, gguf::check_disjoint, source::read_all},
};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Longest directory that is read; 64 MB list half a million entries.
const MAX_DIRECTORY: u64 = 64 << 20;
/// A comment at the archive's end has at most this many bytes.
const MAX_COMMENT: u64 = 65_535;
/// Deflate makes at most 1032 bytes of one.
const MAX_RATIO: u64 = 1032;
/// Compressed bytes are read in pieces of this size.
const PIECE: u64 = 256 << 10;

/// A file in the archive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub name: String,
    /// Where its bytes begin in the archive.
    pub offset: u64,
    /// Bytes in the archive.
    pub compressed: u64,
    /// Bytes when inflated.
    pub size: u64,
    pub deflated: bool,
    crc: u32,
}

/// Little-endian numbers at fixed places of a record.
struct Record<'a>(&'a [u8]);

impl Record<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }
    // Records are sliced at their full length before fields are asked for.
    fn u16(&self, at: usize) -> u16 {
        self.bytes(at).map_or(0, u16::from_le_bytes)
    }
    fn u32(&self, at: usize) -> u32 {
        self.bytes(at).map_or(0, u32::from_le_bytes)
    }
    fn u64(&self, at: usize) -> u64 {
        self.bytes(at).map_or(0, u64::from_le_bytes)
    }
}

/// All files of the archive, folders left out, each checked to lie inside it and to share nothing with the others.
pub(crate) async fn read_directory(source: &dyn ByteSource) -> Result<Vec<Entry>> {
    let fail = |message: String| Err(Error::format(source.name(), message));
    let (start, size, count) = find_directory(source).await?;
    let directory = read_all(source, start, size as usize).await?;
    let mut rest = directory.bytes();
    let (mut entries, mut spans) = (Vec::new(), Vec::new());
    for index in 0..count {
        let record = Record(rest);
        if rest.len() < 46 || !rest.starts_with(&DIRECTORY_ENTRY) {
            return fail(format!("zip directory entry {index} is not one: is the file complete?"));
        }
        let (name_len, extra_len) = (record.u16(28) as usize, record.u16(30) as usize);
        let end = 46 + name_len + extra_len + record.u16(32) as usize;
        let (Some(name), Some(extra), Some(after)) =
            (rest.get(46..46 + name_len), rest.get(46 + name_len..46 + name_len + extra_len), rest.get(end..))
        else {
            return fail(format!("zip directory entry {index} ends behind the directory"));
        };
        let Ok(name) = std::str::from_utf8(name) else {
            return fail(format!("zip directory entry {index} has a name that is not UTF-8"));
        };
        let mut sizes = [record.u32(24).into(), record.u32(20).into(), record.u32(42).into()];
        if !wide_sizes(extra, &mut sizes) {
            return fail(format!("zip entry {name:?} lacks its 64-bit sizes"));
        }
        let ([size, compressed, local], method) = (sizes, record.u16(10));
        if record.u16(8) & 1 != 0 {
            return fail(format!("zip entry {name:?} is encrypted"));
        }
        let deflated = match method {
            STORED if size == compressed => false,
            STORED => return fail(format!("zip entry {name:?} is stored, but its two sizes differ")),
            DEFLATED => true,
            other => {
                return fail(format!(
                    "zip entry {name:?} is compressed by method {other}; stored and deflate are read"
                ));
            }
        };
        if deflated && size / MAX_RATIO > compressed {
            return fail(format!("zip entry {name:?} claims {size} bytes, more than {compressed} can inflate to"));
        }
        if !name.ends_with('/') {
            let offset = data_offset(source, local, compressed, start, name).await?;
            spans.push((local, offset + compressed));
            entries.push(Entry { name: name.into(), offset, compressed, size, deflated, crc: record.u32(16) });
        }
        rest = after;
    }
    check_disjoint(source.name(), &spans, |i| &entries[i].name)?;
    Ok(entries)
}

/// Start, size and number of entries of the directory.
async fn find_directory(source: &dyn ByteSource) -> Result<(u64, u64, u64)> {
    let fail = |message: &str| Err(Error::format(source.name(), message));
    let tail_len = source.len().min(22 + 20 + MAX_COMMENT);
    let tail_start = source.len() - tail_len;
    let tail = read_all(source, tail_start, tail_len as usize).await?;
    let tail = tail.bytes();
    let is_end = |at: &usize| {
        let record = Record(&tail[*at..]);
        tail[*at..].starts_with(&END) && *at + 22 + record.u16(20) as usize == tail.len()
    };
    let Some(at) = (0..tail.len().saturating_sub(21)).rev().find(is_end) else {
        return fail("the zip archive has no directory at its end: is it complete?");
    };
    let end = Record(&tail[at..]);
    let mut found = (u64::from(end.u32(16)), u64::from(end.u32(12)), u64::from(end.u16(10)));
    let mut limit = tail_start + at as u64;
    if let Some(locator) = at.checked_sub(20).map(|at| Record(&tail[at..])).filter(|r| r.0.starts_with(&END64_LOCATOR))
    {
        limit = locator.u64(8);
        if limit.checked_add(56).is_none_or(|end| end > source.len()) {
            return fail("the zip archive's 64-bit end record is outside of it");
        }
        let record = read_all(source, limit, 56).await?;
        let record = Record(record.bytes());
        if !record.0.starts_with(&END64) {
            return fail("the zip archive's 64-bit end record is not one");
        }
        found = (record.u64(48), record.u64(40), record.u64(32));
    }
    let (start, size, count) = found;
    if start.checked_add(size).is_none_or(|end| end > limit) || count > size / 46 {
        return fail("the zip archive's directory is not where its end says: is it complete?");
    }
    if size > MAX_DIRECTORY {
        return fail("the zip archive's directory is longer than 64 MB");
    }
    Ok(found)
}

/// Replaces the sizes that are all ones (size, compressed size, offset) by those of the 64-bit extra field.
fn wide_sizes(mut extra: &[u8], sizes: &mut [u64; 3]) -> bool {
    const NARROW: u64 = u32::MAX as u64;
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let (id, len) = (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]) as usize);
        let Some((field, after)) = rest.split_at_checked(len) else { break };
        if id == EXTRA64 {
            let mut numbers = field.chunks_exact(8);
            for size in sizes.iter_mut().filter(|s| **s == NARROW) {
                let Some(number) = numbers.next() else { return false };
                *size = Record(number).u64(0);
            }
            return true;
        }
        extra = after;
    }
    !sizes.contains(&NARROW)
}

/// Where an entry's bytes begin: behind its local header, whose extra field may differ from the directory's.
async fn data_offset(source: &dyn ByteSource, local: u64, compressed: u64, limit: u64, name: &str) -> Result<u64> {
    let fail = |what: &str| Err(Error::format(source.name(), format!("zip entry {name:?} {what}")));
    let head_len = 30 + name.len();
    if local.checked_add(head_len as u64).is_none_or(|end| end > limit) {
        return fail("begins outside the archive");
    }
    let head = read_all(source, local, head_len).await?;
    let head = Record(head.bytes());
    if !head.0.starts_with(&LOCAL_HEADER) || head.u16(26) as usize != name.len() || &head.0[30..] != name.as_bytes() {
        return fail("has another header than the directory says");
    }
    let offset = local + head_len as u64 + u64::from(head.u16(28));
    match offset.checked_add(compressed) {
        Some(end) if end <= limit => Ok(offset),
        _ => fail("ends outside the archive: is it complete?"),
    }
}

impl Entry {
    /// All bytes.
    pub async fn read(&self, source: &dyn ByteSource) -> Result<Buffer> {
        let too_large = |_| Error::OutOfMemory { what: format!("zip entry {:?}", self.name), bytes: self.size };
        let size = usize::try_from(self.size).map_err(too_large)?;
        if !self.deflated {
            return read_all(source, self.offset, size).await;
        }
        let mut buffer = Buffer::zeroed(size)?;
        self.inflate(source, 0, buffer.bytes_mut(), true).await?;
        Ok(buffer)
    }

    /// Its first bytes, at most `len`.
    pub async fn read_head(&self, source: &dyn ByteSource, len: u64) -> Result<Buffer> {
        let len = len.min(self.size) as usize;
        if !self.deflated {
            return read_all(source, self.offset, len).await;
        }
        let mut buffer = Buffer::zeroed(len)?;
        self.inflate(source, 0, buffer.bytes_mut(), false).await?;
        Ok(buffer)
    }

    /// Fills `out` with the bytes from `skip` on of an entry that is deflated. With `whole` it goes on to the entry's
    /// end and checks its size and CRC.
    pub async fn inflate(&self, source: &dyn ByteSource, skip: u64, out: &mut [u8], whole: bool) -> Result<()> {
        let fail = |what: String| Err(Error::format(source.name(), format!("zip entry {:?} {what}", self.name)));
        let mut inflater = Decompress::new(false);
        let mut crc = Crc::new();
        let mut unwanted = vec![0; 16 << 10];
        let end = skip + out.len() as u64;
        let (mut taken, mut made) = (0, 0);
        while taken < self.compressed {
            let want = PIECE.min(self.compressed - taken);
            let piece = read_all(source, self.offset + taken, want as usize).await?;
            taken += want;
            let mut input = piece.bytes();
            loop {
                if !whole && made >= end {
                    return Ok(());
                }
                let target = if made < skip {
                    let most = (skip - made).min(unwanted.len() as u64) as usize;
                    &mut unwanted[..most]
                } else if made < end {
                    &mut out[(made - skip) as usize..]
                } else {
                    &mut unwanted
                };
                let before = (inflater.total_in(), inflater.total_out());
                let status = match inflater.decompress(input, target, FlushDecompress::None) {
                    Ok(status) => status,
                    Err(e) => return fail(format!("cannot be inflated: {e}")),
                };
                let (used, new) = (inflater.total_in() - before.0, inflater.total_out() - before.1);
                crc.update(&target[..new as usize]);
                input = &input[used as usize..];
                made += new;
                if made > self.size {
                    return fail(format!("inflates to more than the {} bytes it claims", self.size));
                }
                if status == Status::StreamEnd {
                    return match (made == self.size, crc.sum() == self.crc) {
                        (true, true) => Ok(()),
                        (true, false) => fail("is damaged: its CRC is another".into()),
                        (false, _) => fail(format!("inflates to {made} bytes, not the {} it claims", self.size)),
                    };
                }
                if used == 0 && new == 0 {
                    break;
                }
            }
        }
        fail("ends before its compressed bytes do".into())
    }
}
