//! Model files: readers over any byte source, and writers.

pub mod metadata;
pub mod source;

pub use metadata::{Metadata, Value};
pub use source::{ByteSource, MemorySource};
