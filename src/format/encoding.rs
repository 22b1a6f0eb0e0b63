//! Tensors that do not lie in their file as plain elements in row-major order: compressed, strided, big-endian, or of a
//! type that is widened.

use super::{ByteSource, TensorInfo, checkpoint::aligned, source::read_all, zip};
use crate::{
    backend::{Storage, View, cpu::Buffer},
    device::Device,
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
};
use std::sync::Arc;

/// The element types of NumPy and PyTorch files that become tensors; integers that have no dtype here become `i32`,
/// which holds all their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Same(DType),
    I8,
    I16,
    U16,
}

impl Raw {
    pub fn size(self) -> usize {
        match self {
            Self::Same(dtype) => dtype.block_bytes(),
            Self::I8 => 1,
            Self::I16 | Self::U16 => 2,
        }
    }
    pub fn dtype(self) -> DType {
        match self {
            Self::Same(dtype) => dtype,
            _ => DType::I32,
        }
    }
}

/// What is to be done with a tensor's bytes after reading; in a [`TensorInfo`], `None` stands for nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// The zip entry, if it is compressed, and where in its inflated bytes the tensor begins.
    pub(super) deflated: Option<(zip::Entry, u64)>,
    pub(super) raw: Raw,
    pub(super) big_endian: bool,
    /// In elements; all `span` elements from the tensor's first to its last are read.
    pub(super) strides: Vec<usize>,
    pub(super) span: usize,
}

impl Encoding {
    /// Is there nothing to be done for a tensor of these sizes?
    pub(super) fn is_plain(&self, dims: &[usize]) -> bool {
        let layout = Layout::new(dims.into(), self.strides.clone(), 0);
        let widened = !matches!(self.raw, Raw::Same(_));
        self.deflated.is_none() && !widened && !self.swaps() && layout.is_contiguous()
    }
    fn swaps(&self) -> bool {
        self.big_endian && self.raw.size() > 1
    }

    /// The elements in the order in which they lie in the file, as `info.dtype`.
    pub(super) async fn read_elements(&self, source: &dyn ByteSource, info: &TensorInfo) -> Result<Buffer> {
        let too_large = || Error::OutOfMemory { what: format!("tensor {:?}", info.name), bytes: u64::MAX };
        let len = self.span.checked_mul(self.raw.size()).ok_or_else(too_large)?;
        let mut buffer = match &self.deflated {
            None => read_all(source, info.offset, len).await?,
            Some((entry, skip)) => {
                let mut buffer = Buffer::zeroed(len)?;
                entry.inflate(source, *skip, buffer.bytes_mut(), true).await?;
                buffer
            }
        };
        if self.swaps() {
            buffer.bytes_mut().chunks_exact_mut(self.raw.size()).for_each(<[u8]>::reverse);
        }
        let widened: Vec<i32> = match self.raw {
            Raw::Same(dtype) => return aligned(buffer, dtype),
            Raw::I8 => buffer.bytes().iter().map(|&b| (b as i8).into()).collect(),
            Raw::I16 => pairs(&buffer).map(|b| i16::from_le_bytes(b).into()).collect(),
            Raw::U16 => pairs(&buffer).map(|b| u16::from_le_bytes(b).into()).collect(),
        };
        Buffer::from_slice(&widened)
    }

    /// The elements in row-major order.
    pub(super) async fn read(&self, source: &dyn ByteSource, info: &TensorInfo) -> Result<Buffer> {
        let buffer = self.read_elements(source, info).await?;
        let layout = Layout::new(info.shape.clone(), self.strides.clone(), 0);
        if layout.is_contiguous() {
            return Ok(buffer);
        }
        let storage = Arc::new(buffer) as Storage;
        Device::cpu().backend().read(View { storage: &storage, layout: &layout, dtype: info.dtype }).await
    }
}

fn pairs(buffer: &Buffer) -> impl Iterator<Item = [u8; 2]> {
    buffer.bytes().chunks_exact(2).map(|b| [b[0], b[1]])
}
