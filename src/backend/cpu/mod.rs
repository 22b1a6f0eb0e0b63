//! The processor: reference and fast kernels, by operation.

pub(crate) mod adam;
mod attention;
mod buffer;
#[cfg(feature = "conv")]
mod conv;
mod copy;
mod elementwise;
#[cfg(feature = "fft")]
mod fft;
mod fused;
#[cfg_attr(not(feature = "all-ops"), expect(dead_code, reason = "what only other builds need"))]
mod index;
mod math;
pub mod matmul;
mod norm;
mod num;
pub mod pool;
mod product;
#[cfg_attr(not(feature = "all-ops"), expect(dead_code, reason = "what only other builds need"))]
mod reduce;
mod rope;
pub mod simd;
mod upload;
mod walk;
#[cfg(feature = "all-ops")]
mod windows;

pub use buffer::Buffer;

use matmul::{Packed, Packing};

use super::{Backend, DeviceBuffer, Meta, Reading, Storage, Upload, View};
use crate::{
    dtype::{DType, Element},
    error::{Error, Result},
    layout::Layout,
    op::Op,
    shape::Shape,
};
use std::sync::Arc;

/// Runs operations on the processor.
#[derive(Debug, Default)]
pub struct CpuBackend {}

impl CpuBackend {
    /// With one thread per core natively, one thread in a browser without shared memory.
    pub fn new() -> Self {
        Self {}
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
    /// Matrices of block formats are packed for the kernels, once: natively that copies them out of a mapped file.
    fn upload(&self, bytes: Buffer, dtype: DType, shape: &Shape) -> Result<Storage> {
        if let (true, &[rows, columns]) = (dtype.is_quantized(), shape.dims()) {
            return Ok(Arc::new(Packed::new(dtype, rows, columns, bytes.bytes())?));
        }
        // A file may hold elements at addresses that their type cannot be read from.
        let aligned = bytes.bytes().as_ptr().addr().is_multiple_of(alignment(dtype));
        Ok(Arc::new(if aligned { bytes } else { Buffer::copy_from(bytes.bytes())? }))
    }
    fn begin_upload(&self, dtype: DType, shape: &Shape) -> Result<Option<Box<dyn Upload>>> {
        let (true, &[rows, columns]) = (dtype.is_quantized(), shape.dims()) else { return Ok(None) };
        Ok(Some(Box::new(upload::PackingUpload {
            packing: Packing::new(dtype, rows, columns)?,
            #[cfg(target_arch = "wasm32")]
            piece: Buffer::unwritten(0)?,
        })))
    }
    fn execute(&self, op: &Op, inputs: &[View<'_>], out: &Meta) -> Result<Option<Storage>> {
        if !reads_packed(op) && inputs.iter().any(|x| packed_of(x).is_some()) {
            let plain = inputs.iter().map(plain).collect::<Result<Vec<_>>>()?;
            let views = inputs.iter().zip(&plain).map(|(x, storage)| View { storage, ..x.clone() });
            return self.execute(op, &views.collect::<Vec<_>>(), out);
        }
        let x = &inputs[0];
        let result = match op {
            Op::Copy => copy::copy(x, out)?,
            Op::Cast(dtype) if dtype.is_quantized() => {
                return self.upload(copy::cast(x, out)?, *dtype, &out.shape).map(Some);
            }
            Op::Cast(_) => copy::cast(x, out)?,
            Op::Unary(op) => elementwise::unary(*op, x, out)?,
            Op::Binary(op) => elementwise::binary(*op, x, &inputs[1], out)?,
            Op::Affine { mul, add } => elementwise::affine(*mul, *add, x, out)?,
            Op::Clamp { min, max } => elementwise::clamp(*min, *max, x, out)?,
            Op::Compare(op) => elementwise::compare(*op, x, &inputs[1], out)?,
            Op::Where => elementwise::where_cond(x, &inputs[1], &inputs[2], out)?,
            Op::Reduce { reduce, dims, .. } => reduce::reduce(*reduce, dims, x, out)?,
            #[cfg(feature = "all-ops")]
            Op::ArgReduce { max, dim, .. } => reduce::arg_reduce(*max, *dim, x, out)?,
            #[cfg(feature = "all-ops")]
            Op::CumSum { dim } => reduce::cumulate(crate::op::Reduce::Sum, *dim, x, out)?,
            #[cfg(feature = "all-ops")]
            Op::CumProd { dim } => reduce::cumulate(crate::op::Reduce::Prod, *dim, x, out)?,
            #[cfg(feature = "all-ops")]
            Op::ArgSort { dim, descending } => reduce::arg_sort(*dim, *descending, x.layout.dims()[*dim], x, out)?,
            #[cfg(feature = "all-ops")]
            Op::TopK { k, largest } => reduce::arg_sort(x.layout.dims().len() - 1, *largest, *k, x, out)?,
            Op::Cat { dim } => copy::cat(*dim, inputs, out)?,
            #[cfg(feature = "all-ops")]
            Op::Gather { dim } => index::gather(*dim, x, &inputs[1], out)?,
            Op::IndexSelect { dim } => {
                let indices = index::values(op.name(), &inputs[1], x.layout.dims()[*dim])?;
                copy::index_select(*dim, x, &indices, out)?
            }
            #[cfg(feature = "all-ops")]
            Op::ScatterAdd { dim } => index::scatter_add(*dim, x, &inputs[1], &inputs[2], out)?,
            #[cfg(feature = "all-ops")]
            Op::Scatter { dim } => index::scatter(*dim, x, &inputs[1], &inputs[2], out)?,
            Op::Matmul => product::matmul(x, &inputs[1], out)?,
            Op::Linear if x.dtype != DType::F64 => product::linear(x, &inputs[1], inputs.get(2), out)?,
            Op::Embedding { dtype: DType::F32 } => {
                let ids = index::values(op.name(), x, inputs[1].layout.dims()[0])?;
                copy::embedding(&inputs[1], &ids, out)?
            }
            Op::Softmax { dim } => return stored(norm::softmax(*dim, x, out)?),
            Op::LogSoftmax { dim } => return stored(norm::log_softmax(*dim, x, out)?),
            Op::RmsNorm { eps } => return stored(norm::rms_norm(*eps, x, &inputs[1], out)?),
            Op::LayerNorm { eps } => return stored(norm::layer_norm(*eps, x, &inputs[1], inputs.get(2), out)?),
            Op::Rope { layout } => return stored(rope::rope(*layout, x, &inputs[1], &inputs[2], out)?),
            Op::Attention { scale, causal, window, softcap } if x.dtype == DType::F32 => {
                let (scale, causal, window, softcap) = (*scale, *causal, *window, *softcap);
                attention::attention(attention::Options { scale, causal, window, softcap }, inputs, out)?
            }
            Op::Gated(gate) => elementwise::gated(*gate, x, &inputs[1], out)?,
            Op::Linears { norm } if x.dtype != DType::F64 => fused::linears(*norm, inputs, out)?,
            Op::GatedLinears { gate, norm } if x.dtype != DType::F64 => {
                fused::gated_linears(*gate, *norm, inputs, out)?
            }
            Op::LinearAdd if x.dtype != DType::F64 => fused::linear_add(inputs, out)?,
            Op::RmsNormAdd { eps } if x.dtype != DType::F64 => fused::rms_norm_add(*eps, inputs, out)?,
            Op::Heads(heads) if x.dtype != DType::F64 => fused::heads(heads, inputs, out)?,
            Op::Sample(_) => return Ok(None),
            // Shortened to f32, an f64 would lose half its digits: the decompositions run.
            Op::Linears { .. } | Op::GatedLinears { .. } | Op::LinearAdd | Op::RmsNormAdd { .. } | Op::Heads(_) => {
                return Ok(None);
            }
            #[cfg(feature = "all-ops")]
            Op::MaxIndices { rows, columns } => windows::max_indices(rows, columns, x, out)?,
            #[cfg(feature = "conv")]
            Op::Conv(geometry) => return stored(conv::conv(geometry, false, inputs, out)?),
            #[cfg(feature = "conv")]
            Op::ConvTranspose(geometry) => return stored(conv::conv(geometry, true, inputs, out)?),
            #[cfg(feature = "fft")]
            Op::Rfft if x.dtype != DType::F64 => fft::rfft(x, out)?,
            #[cfg(feature = "fft")]
            Op::Irfft { n } if x.dtype != DType::F64 => fft::irfft(*n, x, out)?,
            Op::Custom(op) => return stored(op.cpu(inputs, out)?),
            Op::Linear | Op::Embedding { .. } | Op::Attention { .. } => return Ok(None),
            #[cfg(not(feature = "conv"))]
            Op::Conv(_) | Op::ConvTranspose(_) => return Ok(None),
            Op::Rfft | Op::Irfft { .. } => return Ok(None),
            #[cfg(not(feature = "all-ops"))]
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(result)))
    }
    fn write_slice(&self, target: Storage, layout: &Layout, source: &View<'_>) -> Result<Storage> {
        let target = match target.as_any().downcast_ref::<Packed>() {
            Some(packed) => Arc::new(packed.rows(0..packed.shape().0)?),
            None => target,
        };
        copy::write_slice(target, layout, &View { storage: &plain(source)?, ..source.clone() })
    }
    fn read(&self, view: View<'_>) -> Reading {
        let read = plain(&view).and_then(|storage| copy::read(&View { storage: &storage, ..view }));
        Box::pin(std::future::ready(read))
    }
}

/// The result of a kernel that some dtypes do not have.
fn stored(result: Option<Buffer>) -> Result<Option<Storage>> {
    Ok(result.map(|buffer| Arc::new(buffer) as Storage))
}

impl DeviceBuffer for Buffer {
    fn bytes(&self) -> usize {
        self.len()
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

impl DeviceBuffer for Packed {
    fn bytes(&self) -> usize {
        self.len()
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

/// Do the operation's kernel, or the operations of its decomposition, read packed weights?
fn reads_packed(op: &Op) -> bool {
    let products = matches!(op, Op::Linear | Op::Linears { .. } | Op::GatedLinears { .. } | Op::LinearAdd);
    products || matches!(op, Op::Embedding { .. })
}

/// The operand's memory if it is packed for products.
fn packed_of<'a>(view: &View<'a>) -> Option<&'a Packed> {
    view.storage.as_any().downcast_ref()
}

/// The operand's memory, unpacked where it was packed.
fn plain(view: &View<'_>) -> Result<Storage> {
    match packed_of(view) {
        Some(packed) => Ok(Arc::new(packed.rows(0..packed.shape().0)?)),
        None => Ok(view.storage.clone()),
    }
}

/// What addresses of elements are multiples of; blocks are read as bytes.
fn alignment(dtype: DType) -> usize {
    if dtype.is_quantized() { 1 } else { dtype.block_bytes() }
}

/// Bytes of a result.
fn bytes_of(meta: &Meta) -> Result<usize> {
    let elements = meta.shape.checked_elements().and_then(|n| meta.dtype.bytes_for(n));
    let too_large =
        || Error::OutOfMemory { what: format!("a {} tensor of shape {}", meta.dtype, meta.shape), bytes: u64::MAX };
    elements.ok_or_else(too_large)
}

/// Zeroed memory for a result.
fn output(meta: &Meta) -> Result<Buffer> {
    Buffer::zeroed(bytes_of(meta)?)
}

/// Memory that holds anything, for a result of which every element is written.
fn unwritten(meta: &Meta) -> Result<Buffer> {
    Buffer::unwritten(bytes_of(meta)?)
}

/// The operand's memory.
fn buffer_of<'a>(view: &View<'a>) -> Result<&'a Buffer> {
    let not_here = || Error::Device { op: "cpu", message: "an operand is not in main memory".into() };
    view.storage.as_any().downcast_ref().ok_or_else(not_here)
}

impl View<'_> {
    /// The elements of a view over main memory in row-major order.
    ///
    /// # Errors
    /// When it is of another dtype, or on another device.
    pub fn values<T: Element>(&self) -> Result<impl Iterator<Item = T>> {
        if self.dtype != T::DTYPE {
            return Err(Error::dtypes("values", self.dtype, T::DTYPE));
        }
        let data = buffer_of(self)?.as_slice::<T>()?;
        Ok(self.layout.indices().map(|i| data[i]))
    }
}

/// The whole memory of an operand as elements of its dtype.
fn typed<'a, T: Element>(view: &View<'a>) -> Result<&'a [T]> {
    debug_assert_eq!(view.dtype, T::DTYPE);
    buffer_of(view)?.as_slice()
}

/// The whole memory of an operand as elements of the same size.
fn sized<'a, T: bytemuck::Pod>(view: &View<'a>) -> Result<&'a [T]> {
    let bytes = buffer_of(view)?.bytes();
    bytemuck::try_cast_slice(bytes).map_err(|e| Error::dtype("cpu", format!("{} bytes: {e}", bytes.len())))
}

/// f32 values in row-major order: the operand's own, or converted.
enum Floats<'a> {
    Borrowed(&'a [f32], &'a Shape),
    Owned(Buffer, &'a Shape),
}

impl Floats<'_> {
    fn as_slice(&self) -> &[f32] {
        match self {
            Self::Borrowed(values, _) => values,
            // Made as f32 by this module.
            Self::Owned(buffer, _) => bytemuck::cast_slice(buffer.bytes()),
        }
    }
    fn shape(&self) -> &Shape {
        match self {
            Self::Borrowed(_, shape) | Self::Owned(_, shape) => shape,
        }
    }
}

/// The operand's values as f32 in row-major order.
fn floats<'a>(view: &View<'a>) -> Result<Floats<'a>> {
    let shape = view.layout.shape();
    match view.layout.contiguous_range() {
        Some(range) if view.dtype == DType::F32 => Ok(Floats::Borrowed(&typed(view)?[range], shape)),
        _ => Ok(Floats::Owned(elementwise::to_f32(view)?, shape)),
    }
}

/// The operand's values as f32 with a layout whose last dimension adjoins.
fn strided_floats<'a>(view: &View<'a>) -> Result<(Floats<'a>, Layout)> {
    let last = view.layout.dims().len() - 1;
    if view.dtype == DType::F32 && (view.layout.strides()[last] == 1 || view.layout.dims()[last] == 1) {
        return Ok((Floats::Borrowed(typed(view)?, view.layout.shape()), view.layout.clone()));
    }
    Ok((Floats::Owned(elementwise::to_f32(view)?, view.layout.shape()), Layout::contiguous(view.layout.shape())))
}
