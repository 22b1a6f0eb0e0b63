//! What a GPU can do at most, measured: what the speed of a model is a fraction of.

use super::{
    WebGpuBackend,
    memory::{Encoding, Memory},
    params::Params,
    recorder::Job,
    shader::{self, Class},
};
use crate::{
    backend::{Storage, View},
    clock::default_clock,
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
};
use std::sync::Arc;

/// What a GPU does at most in a second, measured by [`Device::measure_peaks`](crate::Device::measure_peaks).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DevicePeaks {
    /// Bytes that a kernel reads from a large buffer (1 GiB, or as much as the adapter binds), each once.
    pub memory_bytes_per_second: f64,
    /// Operations of f32 in registers: two for a multiplication with its addition.
    pub float_operations_per_second: f64,
    /// Operations of `dot4I8Packed`, products of four signed 8-bit integers added to a sum, in registers: eight for each. `None`
    /// in browsers, which need not know that function.
    pub packed_operations_per_second: Option<f64>,
}

const OP: &str = "measure_peaks";
/// Bytes to read, unless the adapter has less room for them; and the least.
const BYTES: u64 = 1 << 30;
const LEAST_BYTES: u64 = 1 << 24;
/// Groups of four words that a thread reads, and what bytes are a multiple of, for that.
const READ_BY_THREAD: usize = 64;
const QUAD: usize = 16;
const MULTIPLE: u64 = (QUAD * READ_BY_THREAD * 256) as u64;
/// Threads that compute: enough to keep the largest GPUs busy many times over.
const THREADS: usize = 1 << 21;
/// What `peak_float.wgsl` and `peak_packed.wgsl` do in a round.
const FLOAT_ROUND: usize = 2 * 128;
const PACKED_ROUND: usize = 8 * 64;
/// The best of so many runs, each of at least so many seconds by the GPU's clock; by ours, which counts the way there and back.
const RUNS: usize = 20;
const LONG: f64 = 5e-3;
const LONG_BY_OURS: f64 = 50e-3;
/// No run is of more rounds.
const MOST_ROUNDS: u32 = 1 << 16;

impl WebGpuBackend {
    /// Measures what the GPU can do at most. Ends what [`WebGpuBackend::begin_timing`] began.
    ///
    /// # Errors
    /// When there is no memory for it, or the device was lost.
    pub async fn measure_peaks(&self) -> Result<DevicePeaks> {
        // Memory last: a GPU that did nothing before needs a while to run at full speed.
        let float_operations_per_second = self.peak_float().await?;
        let is_known = !cfg!(target_arch = "wasm32") || self.gpu.info.packed_dot;
        let packed_operations_per_second = if is_known { Some(self.peak_packed().await?) } else { None };
        let memory_bytes_per_second = self.peak_memory().await?;
        Ok(DevicePeaks { memory_bytes_per_second, float_operations_per_second, packed_operations_per_second })
    }

    async fn peak_memory(&self) -> Result<f64> {
        let source = self.source()?;
        let bytes = source.encoding.bytes(source.elements);
        let (quads, threads) = (bytes / QUAD, bytes / QUAD / READ_BY_THREAD);
        let out = self.words(threads)?;
        let read = |times: u32| {
            for _ in 0..times {
                let params = Params::new(OP, threads)?.k(OP, [quads, 0, 0, 0])?;
                let mut job = Job::threads(OP, &shader::PEAK_MEMORY, Class::Uint, &[&source], DType::U32, params);
                job.quads = 0b1;
                self.recorder.record(job, &out)?;
            }
            Ok(())
        };
        self.peak(&out, bytes as f64, read).await
    }

    /// A large buffer of numbers that are not all the same, which hardware might keep in less room.
    fn source(&self) -> Result<Memory> {
        let mut bytes = BYTES.min(self.pool.most()) / MULTIPLE * MULTIPLE;
        let source = loop {
            match self.result(OP, Encoding::U32, bytes as usize / 4) {
                Err(Error::OutOfMemory { .. }) if bytes / 2 >= LEAST_BYTES => bytes = bytes / 2 / MULTIPLE * MULTIPLE,
                made => break made?,
            }
        };
        self.compute_floats(0, &source)?;
        Ok(source)
    }

    fn words(&self, elements: usize) -> Result<Arc<Memory>> {
        Ok(Arc::new(self.result(OP, Encoding::U32, elements)?))
    }

    async fn peak_float(&self) -> Result<f64> {
        let out = self.words(THREADS)?;
        self.peak(&out, (THREADS * FLOAT_ROUND) as f64, |rounds| self.compute_floats(rounds, &out)).await
    }

    /// A number for each word of `out`, which so many rounds are made for.
    fn compute_floats(&self, rounds: u32, out: &Memory) -> Result<()> {
        // Towards 1, and neither there nor to 0 soon.
        let params = Params::new(OP, out.elements)?.bits([rounds, 0]).f([0.999, 0.001]);
        self.recorder.record(Job::threads(OP, &shader::PEAK_FLOAT, Class::Float, &[], DType::F32, params), out)
    }

    async fn peak_packed(&self) -> Result<f64> {
        let out = self.words(THREADS)?;
        let compute = |rounds| {
            let params = Params::new(OP, THREADS)?.bits([rounds, 0x03fd_7f81]);
            self.recorder.record(Job::threads(OP, &shader::PEAK_PACKED, Class::Uint, &[], DType::U32, params), &out)
        };
        self.peak(&out, (THREADS * PACKED_ROUND) as f64, compute).await
    }

    /// The most that is done in a second, where `record` has so many rounds done, each of them `amount`.
    async fn peak(&self, out: &Arc<Memory>, amount: f64, record: impl Fn(u32) -> Result<()>) -> Result<f64> {
        let long = if self.gpu.info.timestamps { LONG } else { LONG_BY_OURS };
        // The first is also the one that compiles.
        self.seconds(out, || record(1)).await?;
        let mut rounds = 1;
        while self.seconds(out, || record(rounds)).await? < long && rounds < MOST_ROUNDS {
            rounds *= 2;
        }
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            best = best.min(self.seconds(out, || record(rounds)).await?);
        }
        if best <= 0.0 {
            let message = format!("{} has a clock that stands still", self.gpu.name());
            return Err(Error::Device { op: OP, message });
        }
        Ok(amount * f64::from(rounds) / best)
    }

    /// Seconds that what is recorded takes, which writes `out`: by the GPU's clock where it has one.
    async fn seconds(&self, out: &Arc<Memory>, record: impl Fn() -> Result<()>) -> Result<f64> {
        if self.begin_timing()? {
            record()?;
            return Ok(self.end_timing().await?.iter().map(|time| time.microseconds).sum::<f64>() / 1e6);
        }
        self.settled(out).await?;
        let start = default_clock();
        record()?;
        self.settled(out).await?;
        Ok((default_clock() - start) / 1e3)
    }

    /// Returns when all is done that `out` needs.
    async fn settled(&self, out: &Arc<Memory>) -> Result<()> {
        let (storage, layout): (Storage, _) = (out.clone(), Layout::contiguous([1]));
        self.begin_reading(&View { storage: &storage, layout: &layout, dtype: DType::U32 })?.finish().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{device::Opening, tests::device_with};
    use crate::{Device, Error, Result};

    /// By the GPU's clock and by ours. The bounds are those of any machine that is a machine.
    #[test]
    fn webgpu_measures_what_it_can_do() -> Result<()> {
        for plain in [false, true] {
            let opening = Opening { plain, max_binding: 32 << 20, ..Opening::default() };
            let Some(device) = device_with(opening) else { return Ok(()) };
            let peaks = pollster::block_on(device.measure_peaks())?;
            println!("timestamps {}: {peaks:?}", device.adapter().unwrap().timestamps);
            let all = [
                peaks.memory_bytes_per_second,
                peaks.float_operations_per_second,
                peaks.packed_operations_per_second.unwrap(),
            ];
            assert!(all.iter().all(|peak| (1e7..1e17).contains(peak)), "{peaks:?}");
        }
        let processor = pollster::block_on(Device::cpu().measure_peaks());
        assert!(matches!(processor, Err(Error::Unsupported(_))));
        Ok(())
    }
}
