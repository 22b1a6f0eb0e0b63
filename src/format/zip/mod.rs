//! Zip archives, as far as NumPy and PyTorch use them: stored and deflated entries, zip64.
//!
//! The directory is read here, not by the `zip` crate, since that crate wants a synchronous `Read + Seek`; sources are
//! asynchronous ranges. Deflate and CRC are `flate2`'s. Format: PKWARE's APPNOTE.TXT 6.3.

mod read;
mod write;

pub(super) use read::{Entry, read_directory};
pub(super) use write::Writer;

const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
const DIRECTORY_ENTRY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END64: [u8; 4] = *b"PK\x06\x06";
const END64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
/// Id of the extra field with 64-bit sizes.
const EXTRA64: u16 = 1;
/// Compression methods.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Do these first bytes begin an archive (or an empty one)?
pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(&LOCAL_HEADER) || head.starts_with(&END)
}
