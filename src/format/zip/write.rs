//! Writing an archive, an entry at a time.

use super::{DEFLATED, DIRECTORY_ENTRY, END, END64, END64_LOCATOR, EXTRA64, LOCAL_HEADER, STORED};
use crate::error::{Error, Result};
use flate2::{Compression, Crc, write::DeflateEncoder};
use std::io::Write;

/// Stored bytes begin at multiples of this, so that arrays of a mapped archive can be used in place.
const ALIGNMENT: u64 = 64;
/// Id of the extra field that fills up to the alignment (the one that zipalign uses).
const EXTRA_FILL: u16 = 0xd935;
/// 1 January 1980: the same tensors give the same bytes.
const DATE: u16 = 0x21;

/// An archive being written.
pub(crate) struct Writer<W> {
    out: W,
    file: String,
    position: u64,
    directory: Vec<u8>,
    count: u64,
    /// Sizes and offsets from here on are written as 64-bit numbers.
    narrow: u64,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W, file: &str) -> Self {
        Self { out, file: file.into(), position: 0, directory: Vec::new(), count: 0, narrow: u32::MAX.into() }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.position += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|source| Error::Io { path: self.file.clone(), source })
    }

    /// Adds a file of these bytes, one slice after the other.
    pub fn add(&mut self, name: &str, parts: &[&[u8]], deflate: bool) -> Result<()> {
        let Ok(name_len) = u16::try_from(name.len()) else {
            return Err(Error::argument("zip", format!("a name of {} bytes; 65535 are possible", name.len())));
        };
        let mut crc = Crc::new();
        parts.iter().for_each(|part| crc.update(part));
        let size: u64 = parts.iter().map(|p| p.len() as u64).sum();
        let deflated = match deflate {
            true => Some(deflated(parts).map_err(|source| Error::Io { path: self.file.clone(), source })?),
            false => None,
        };
        let stored = deflated.as_ref().map_or(size, |d| d.len() as u64);
        let local = self.position;
        let wide_sizes = size >= self.narrow || stored >= self.narrow;
        let method = if deflate { DEFLATED } else { STORED };

        // Version needed, flags (UTF-8 names), method, time, date, CRC, and both sizes: the same in both headers.
        let mut common = Vec::new();
        for number in [if wide_sizes { 45 } else { 20 }, 1 << 11, method, 0, DATE] {
            common.extend(number.to_le_bytes());
        }
        common.extend(crc.sum().to_le_bytes());
        for number in [stored, size] {
            let narrow = if wide_sizes { u32::MAX } else { number as u32 };
            common.extend(narrow.to_le_bytes());
        }
        common.extend(name_len.to_le_bytes());

        let mut wide = Vec::new();
        if wide_sizes {
            wide.extend([size, stored].iter().flat_map(|n| n.to_le_bytes()));
        }
        let mut extra = extra64(&wide);
        if !deflate {
            let unfilled = local + 30 + u64::from(name_len) + extra.len() as u64 + 4;
            let fill = (unfilled.next_multiple_of(ALIGNMENT) - unfilled) as usize;
            extra.extend(EXTRA_FILL.to_le_bytes());
            extra.extend((fill as u16).to_le_bytes());
            extra.resize(extra.len() + fill, 0);
        }
        self.put(&LOCAL_HEADER)?;
        self.put(&common)?;
        self.put(&(extra.len() as u16).to_le_bytes())?;
        self.put(name.as_bytes())?;
        self.put(&extra)?;
        match &deflated {
            Some(bytes) => self.put(bytes)?,
            None => parts.iter().try_for_each(|part| self.put(part))?,
        }

        if local >= self.narrow {
            wide.extend(local.to_le_bytes());
        }
        let extra = extra64(&wide);
        self.directory.extend(DIRECTORY_ENTRY);
        self.directory.extend(45u16.to_le_bytes());
        self.directory.extend(common);
        self.directory.extend((extra.len() as u16).to_le_bytes());
        // Comment, disk and attributes: none.
        self.directory.extend([0; 10]);
        let narrow = if local >= self.narrow { u32::MAX } else { local as u32 };
        self.directory.extend(narrow.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.directory.extend(extra);
        self.count += 1;
        Ok(())
    }

    /// Writes the directory and gives the output back, flushed.
    pub fn finish(mut self) -> Result<W> {
        let (start, directory) = (self.position, std::mem::take(&mut self.directory));
        self.put(&directory)?;
        let size = directory.len() as u64;
        if start >= self.narrow || size >= self.narrow || self.count >= u16::MAX.into() {
            let at = self.position;
            let mut end = END64.to_vec();
            end.extend(44u64.to_le_bytes());
            end.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for number in [self.count, self.count, size, start] {
                end.extend(number.to_le_bytes());
            }
            end.extend(END64_LOCATOR);
            end.extend([0; 4]);
            end.extend(at.to_le_bytes());
            end.extend(1u32.to_le_bytes());
            self.put(&end)?;
        }
        let count = self.count.min(u16::MAX.into()) as u16;
        let mut end = END.to_vec();
        end.extend([0; 4]);
        end.extend([count, count].iter().flat_map(|n| n.to_le_bytes()));
        for number in [size, start] {
            end.extend((number.min(u32::MAX.into()) as u32).to_le_bytes());
        }
        end.extend([0; 2]);
        self.put(&end)?;
        self.out.flush().map_err(|source| Error::Io { path: self.file.clone(), source })?;
        Ok(self.out)
    }
}

fn extra64(numbers: &[u8]) -> Vec<u8> {
    if numbers.is_empty() {
        return Vec::new();
    }
    [&EXTRA64.to_le_bytes()[..], &(numbers.len() as u16).to_le_bytes(), numbers].concat()
}

fn deflated(parts: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    parts.iter().try_for_each(|part| encoder.write_all(part))?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{MemorySource, zip::read_directory};

    /// Files of 4 GB are no test; with a lower limit small ones take the same path.
    #[test]
    fn wide_sizes_are_read_back() {
        for narrow in [0, 40, 90, u32::MAX.into()] {
            for deflate in [false, true] {
                let mut writer = Writer { narrow, ..Writer::new(Vec::new(), "x.zip") };
                writer.add("a", &[&[7; 30]], deflate).unwrap();
                writer.add("folder/é", &[b"12", b"345"], deflate).unwrap();
                let source = MemorySource::new("x.zip", writer.finish().unwrap());
                let read = async || {
                    let entries = read_directory(&source).await?;
                    assert_eq!(entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["a", "folder/é"]);
                    assert!(deflate || entries.iter().all(|e| e.offset % ALIGNMENT == 0));
                    assert_eq!(entries[0].read(&source).await?.bytes(), [7; 30]);
                    assert_eq!(entries[1].read(&source).await?.bytes(), b"12345");
                    assert_eq!(entries[1].read_head(&source, 3).await?.bytes(), b"123");
                    Ok::<_, Error>(())
                };
                pollster::block_on(read()).unwrap();
            }
        }
    }
}
