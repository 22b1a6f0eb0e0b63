//! GPUs through WebGPU: natively over Vulkan, Metal or Direct3D 12, and in browsers.
//!
//! Operations are recorded and run in batches when a value is read (`recorder.rs`); how dtypes are held is said in `memory.rs`.
//! What cannot be reported from a kernel has a defined result: an index out of range is brought into it (a value to add at
//! one is not added), an integer divided by zero is 0. Nothing is read or written out of bounds.

mod attention;
#[cfg(target_arch = "wasm32")]
mod browser;
mod device;
mod dots;
mod elementwise;
#[cfg(test)]
mod failure_tests;
mod index;
mod memory;
mod norm;
mod params;
mod peaks;
mod product;
mod read;
mod recorder;
mod reduce;
mod rehearsal;
mod rows;
mod sample;
mod shader;
mod split;
mod stats;
#[cfg(test)]
pub(crate) mod tests;
mod tiles;
#[cfg(test)]
mod tiles_tests;
mod timing;
mod units;
#[cfg(test)]
mod units_tests;
mod upload;
#[cfg(test)]
mod upload_tests;

pub(crate) use device::Opening;
pub use device::{AdapterInfo, WebGpuOptions};
pub use peaks::DevicePeaks;
pub(crate) use rehearsal::Compiling;
pub(crate) use rows::FEW_ROWS;
pub use stats::DeviceStats;
pub use tiles::Tiles;
pub use timing::KernelTime;

use super::{Backend, Meta, Reading, Storage, Upload, View, cpu::Buffer};
use crate::{
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    op::{Op, Reduce, first_weight},
    shape::Shape,
};
use device::Gpu;
use memory::{Encoding, Memory, Pool};
use params::Params;
use recorder::{Job, Recorder};
use rows::{Finish, Products};
use shader::Class;
use stats::Stats;
use std::sync::Arc;

/// Runs operations on a GPU.
pub struct WebGpuBackend {
    gpu: Arc<Gpu>,
    pool: Arc<Pool>,
    stats: Arc<Stats>,
    recorder: Arc<Recorder>,
    staging: Arc<read::Staging>,
    /// Fresh memory is filled with NaN, so that what was not written shows.
    poison: bool,
}

/// What fresh memory is filled with in tests: NaN as f32, and large as an integer.
const POISON: u32 = 0x7fc0_dead;

impl WebGpuBackend {
    /// The adapter that the system prefers for speed.
    ///
    /// # Errors
    /// When there is none, or it gives no device.
    pub async fn open() -> Result<Self> {
        Self::open_with(Opening::default()).await
    }

    /// As [`WebGpuBackend::open`], as tests want it.
    pub(crate) async fn open_with(opening: Opening) -> Result<Self> {
        let gpu = Arc::new(Gpu::open(opening).await?);
        let stats = Arc::new(Stats::default());
        let pool = Arc::new(Pool::new(gpu.clone(), stats.clone(), opening.max_memory));
        let recorder = Arc::new(Recorder::new(gpu.clone(), pool.clone(), stats.clone())?);
        gpu.check().await?;
        Ok(Self { gpu, pool, stats, recorder, staging: Arc::default(), poison: opening.poison })
    }

    /// What the adapter is.
    pub fn info(&self) -> &AdapterInfo {
        &self.gpu.info
    }
    /// Is the device still there?
    pub fn is_alive(&self) -> bool {
        self.gpu.alive().is_ok()
    }
    /// What it has done so far.
    pub fn stats(&self) -> DeviceStats {
        self.stats.now()
    }

    /// Memory for a result.
    fn fresh(&self, op: &'static str, dtype: DType, elements: usize) -> Result<Memory> {
        let encoding = Encoding::written(dtype).ok_or_else(|| unheld(op, dtype))?;
        self.result(op, encoding, elements)
    }

    /// As [`WebGpuBackend::fresh`], held in some way.
    fn result(&self, op: &'static str, encoding: Encoding, elements: usize) -> Result<Memory> {
        params::word(op, elements)?;
        let memory = self.pool.memory(encoding, elements, None, op)?;
        if self.poison && elements > 0 {
            let words = (memory.raw().size / 4) as usize;
            let params = Params::new(op, words)?.bits([POISON, 0]);
            let whole = Job::threads(op, &shader::FILL, Class::Uint, &[], DType::U32, params);
            self.recorder.record(whole, &memory)?;
        }
        Ok(memory)
    }

    /// Runs a kernel for a fresh result.
    fn run(&self, job: Job<'_>, out: &Meta) -> Result<Memory> {
        let memory = self.fresh(job.op, out.dtype, out.shape.elements())?;
        if out.shape.elements() > 0 {
            self.recorder.record(job, &memory)?;
        }
        Ok(memory)
    }

    /// Bytes in row-major order as uploaded: integers of 64 bits shortened.
    fn hold(&self, bytes: &[u8], dtype: DType, shape: &Shape) -> Result<Storage> {
        let mut filling = self.filling(dtype, shape)?;
        if dtype == DType::I64 {
            let short = bytes.chunks_exact(8).map(short_integer).collect::<Result<Vec<_>>>()?;
            filling.put(bytemuck::cast_slice(&short))?;
        } else {
            filling.put(bytes)?;
        }
        filling.done()
    }
}

fn short_integer(bytes: &[u8]) -> Result<i32> {
    let mut all = [0; 8];
    all.copy_from_slice(bytes);
    let value = i64::from_le_bytes(all);
    i32::try_from(value).map_err(|_| Error::Device {
        op: "upload",
        message: format!("{value} is outside of what WebGPU holds of an i64: 32 bits"),
    })
}

fn unheld(op: &'static str, dtype: DType) -> Error {
    let message = match dtype {
        DType::F64 => "WebGPU has no f64; cast to f32 on the CPU first".to_string(),
        _ => format!("WebGPU writes no {dtype}; quantize on the CPU and move the result"),
    };
    Error::Device { op, message }
}

/// The norm, and the weights behind it, of an operation that may have one.
fn normed<'a>(norm: Option<f64>, inputs: &'a [View<'a>]) -> (Option<(&'a View<'a>, f64)>, &'a [View<'a>]) {
    (norm.map(|eps| (&inputs[1], eps)), &inputs[first_weight(norm)..])
}

/// The operand's memory.
fn memory_of<'a>(view: &View<'a>) -> Result<&'a Memory> {
    let not_here = || Error::Device { op: "webgpu", message: "an operand is not in memory of the GPU".into() };
    view.storage.as_any().downcast_ref().ok_or_else(not_here)
}

impl WebGpuBackend {
    /// Runs an operation whose operands are each in one memory.
    fn execute_whole(&self, op: &Op, inputs: &[View<'_>], out: &Meta) -> Result<Option<Storage>> {
        let x = &inputs[0];
        let name = op.name();
        let result = match op {
            Op::Copy => self.copy(name, x, out)?,
            Op::Cast(_) => self.cast(name, x, out)?,
            Op::Unary(unary) => self.unary(*unary, x, out)?,
            Op::Binary(binary) => self.binary(*binary, x, &inputs[1], out)?,
            Op::Affine { mul, add } => self.affine(*mul, *add, x, out)?,
            Op::Clamp { min, max } => self.clamp(*min, *max, x, out)?,
            Op::Compare(compare) => self.compare(*compare, x, &inputs[1], out)?,
            Op::Where => self.choose(inputs, out)?,
            Op::Gated(gate) => self.gated(*gate, x, &inputs[1], out)?,
            Op::Cat { dim } => self.cat(*dim, inputs, out)?,
            Op::Gather { dim } => self.gather(name, *dim, x, &inputs[1], out)?,
            Op::IndexSelect { dim } => self.index_select(*dim, x, &inputs[1], out)?,
            Op::ScatterAdd { dim } | Op::Scatter { dim } => self.scatter(name, *dim, inputs, out)?,
            Op::Embedding { .. } => self.embedding(x, &inputs[1], out)?,
            Op::Reduce { reduce, dims, .. } => self.reduce(*reduce, dims, x, out)?,
            Op::ArgReduce { max, dim, .. } => self.arg_reduce(*max, *dim, x, out)?,
            Op::CumSum { dim } => self.scan(name, Reduce::Sum, *dim, x, out)?,
            Op::CumProd { dim } => self.scan(name, Reduce::Prod, *dim, x, out)?,
            Op::ArgSort { dim, descending } => self.sort(name, *dim, *descending, x, out)?,
            Op::TopK { largest, .. } => self.sort(name, x.layout.dims().len() - 1, *largest, x, out)?,
            Op::Softmax { dim } => self.softmax(false, *dim, x, out)?,
            Op::LogSoftmax { dim } => self.softmax(true, *dim, x, out)?,
            Op::RmsNorm { eps } => self.norm(name, *eps, inputs, out)?,
            Op::LayerNorm { eps } => self.norm(name, *eps, inputs, out)?,
            Op::Rope { layout } => self.rope(*layout, inputs, out)?,
            Op::Matmul => self.matmul(x, &inputs[1], out)?,
            Op::Linear => self.linear(inputs, out)?,
            Op::Attention { scale, causal, window, softcap } => {
                return Ok(self.attention((*scale, *causal, *window, *softcap), inputs, out)?.map(stored));
            }
            Op::MaxIndices { rows, columns } => self.max_indices(rows, columns, x, out)?,
            Op::Linears { norm } => {
                let (norm, weights) = normed(*norm, inputs);
                let products = Products { op: name, x, norm, weights, finish: Finish::Plain };
                return Ok(self.products(products, out)?.map(stored));
            }
            Op::GatedLinears { gate, norm } => {
                let (norm, weights) = normed(*norm, inputs);
                let products = Products { op: name, x, norm, weights, finish: Finish::Gate(*gate) };
                return Ok(self.products(products, out)?.map(stored));
            }
            Op::LinearAdd => {
                let finish = Finish::Residual(&inputs[2]);
                let products = Products { op: name, x, norm: None, weights: &inputs[1..2], finish };
                return Ok(self.products(products, out)?.map(stored));
            }
            Op::RmsNormAdd { eps } => self.norm(name, *eps, inputs, out)?,
            Op::Heads(heads) => self.heads(heads, inputs, out)?,
            Op::Sample(sampling) => self.sample(sampling, x, out)?,
            // Their decompositions run; a custom operation without one is an error that names it.
            Op::Conv(_) | Op::ConvTranspose(_) | Op::Rfft | Op::Irfft { .. } | Op::Custom(_) => return Ok(None),
        };
        Ok(Some(stored(result)))
    }
}

impl Backend for WebGpuBackend {
    fn name(&self) -> &'static str {
        "webgpu"
    }
    fn supports(&self, dtype: DType) -> bool {
        Encoding::uploaded(dtype).is_some()
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
    fn upload(&self, bytes: Buffer, dtype: DType, shape: &Shape) -> Result<Storage> {
        self.hold(bytes.bytes(), dtype, shape)
    }
    fn begin_upload(&self, dtype: DType, shape: &Shape) -> Result<Option<Box<dyn Upload>>> {
        // Whose numbers are shortened on the way, or not held.
        if matches!(dtype, DType::I64 | DType::F64) {
            return Ok(None);
        }
        Ok(Some(Box::new(self.filling(dtype, shape)?)))
    }
    fn execute(&self, op: &Op, inputs: &[View<'_>], out: &Meta) -> Result<Option<Storage>> {
        self.gpu.alive()?;
        match self.execute_split(op, inputs, out)? {
            Some(result) => Ok(result),
            None => self.execute_whole(op, inputs, out),
        }
    }
    fn write_slice(&self, target: Storage, layout: &Layout, source: &View<'_>) -> Result<Storage> {
        self.write(target, layout, source)
    }
    fn read(&self, view: View<'_>) -> Reading {
        match self.begin_reading(&view) {
            Ok(reading) => Box::pin(reading.finish()),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

fn stored(memory: Memory) -> Storage {
    Arc::new(memory)
}
