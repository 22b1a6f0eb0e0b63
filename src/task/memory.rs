//! Will the model fit? Asked before anything large is read.

use crate::{
    error::{Error, Result},
    format::Checkpoint,
    models::DecoderConfig,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a model takes beside its weights and cache: tokenizer, activations, the piece of a file being read.
const WORKING_MEMORY: u64 = 48 << 20;
/// Tokens of cache to count when the user asked for no context length: the cache grows as it is needed.
const USUAL_CONTEXT: usize = 1024;

/// Bytes of keys and values for each token, as f32.
pub(super) fn cache_bytes_per_token(config: &DecoderConfig) -> u64 {
    (2 * config.layers() * config.kv_heads * config.head_dim * size_of::<f32>()) as u64
}

/// Weights of all models that are loaded, in bytes.
static HELD: AtomicU64 = AtomicU64::new(0);

/// Counts a model's weights as held while it lives.
pub(super) struct Held(u64);

impl Held {
    pub fn new(bytes: u64) -> Self {
        HELD.fetch_add(bytes, Ordering::Relaxed);
        Self(bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Bytes that can still be had, where that is known: WebAssembly memory ends at 4 GiB. Its size now says nothing, since
/// it never shrinks: what a model gave back is still in it. Natively weights are mapped files, and the system pages them.
pub(super) fn available() -> Option<u64> {
    cfg!(target_arch = "wasm32").then(|| (4u64 << 30).saturating_sub(HELD.load(Ordering::Relaxed)))
}

/// [`Error::OutOfMemory`] when weights, cache and working memory are more than `available` bytes.
pub(super) fn check(
    file: &str,
    checkpoint: &Checkpoint,
    config: &DecoderConfig,
    context: Option<usize>,
    available: u64,
) -> Result<()> {
    let weights = checkpoint.total_bytes();
    let tokens = context.unwrap_or_else(|| config.context_length.min(USUAL_CONTEXT));
    let cache = cache_bytes_per_token(config).saturating_mul(tokens as u64);
    let bytes = weights.saturating_add(cache).saturating_add(WORKING_MEMORY);
    if bytes <= available {
        return Ok(());
    }
    let what = format!(
        "loading {file} (weights {weights} bytes, cache {cache} bytes for {tokens} tokens) \
         does not fit into the {available} bytes that can be had, since it"
    );
    Err(Error::OutOfMemory { what, bytes })
}
