//! Fuzzing of everything that reads what strangers made:
//!
//! ```text
//! rustup toolchain install nightly && cargo install cargo-fuzz
//! cargo +nightly fuzz run gguf -- -max_total_time=300 -rss_limit_mb=512
//! ```
//!
//! Targets: `gguf`, `safetensors`, `npy` (with `.npz`), `pickle` (PyTorch), `tokenizer_json`, `template`. Seeds: copy files from `tests/golden/formats` to
//! `fuzz/corpus/<target>`. `tests/format_bad.rs` has a small fuzzer of its own, which every `cargo test` runs.

use votive::format::{ByteSource, Checkpoint, MemorySource};

/// Opens the bytes as a model; every tensor of what was accepted must be readable.
pub fn open(name: &str, bytes: Vec<u8>) -> Option<Checkpoint> {
    let source: Box<dyn ByteSource> = Box::new(MemorySource::new(name, bytes));
    let checkpoint = pollster::block_on(Checkpoint::open(vec![source])).ok()?;
    for tensor in checkpoint.tensors() {
        let read = match pollster::block_on(checkpoint.read(&tensor.name)) {
            Ok(read) => read,
            // What is compressed shows only then whether it is whole.
            Err(_) if tensor.encoding.is_some() => continue,
            Err(error) => panic!("an accepted tensor cannot be read: {error}"),
        };
        assert_eq!(Some(read.len()), tensor.dtype.bytes_for(tensor.shape.elements()));
        let _ = tensor.shape.strides();
    }
    Some(checkpoint)
}
