//! Weights that are packed as they come.

#[cfg(target_arch = "wasm32")]
use super::Buffer;
use super::matmul::Packing;
use crate::{
    backend::{LocalFuture, Storage, Upload},
    error::Result,
};
use std::sync::Arc;

/// A matrix of a block format: of what the file has, only a piece is in memory.
pub(super) struct PackingUpload {
    pub packing: Packing,
    /// What came from JavaScript last.
    #[cfg(target_arch = "wasm32")]
    pub piece: Buffer,
}

impl Upload for PackingUpload {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move { self.packing.write(bytes) })
    }
    #[cfg(target_arch = "wasm32")]
    fn write_js<'a>(&'a mut self, bytes: &'a js_sys::Uint8Array) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let len = bytes.length() as usize;
            if self.piece.len() < len {
                self.piece = Buffer::unwritten(len)?;
            }
            bytes.copy_to(&mut self.piece.bytes_mut()[..len]);
            self.packing.write(&self.piece.bytes()[..len])
        })
    }
    fn finish(self: Box<Self>) -> Result<Storage> {
        Ok(Arc::new(self.packing.finish()?))
    }
}
