//! The conformance suite: operations × dtypes × layouts on a device, against results of PyTorch.
//!
//! The cases and their results are in `tests/golden/conformance/`, made by `tests/generators/conformance/`: a file of both
//! for each group of operations, whose calls are in `calls/`. Each case runs with its inputs laid out row by row,
//! transposed, and as slices of larger tensors; the first case of each operation has twins with broadcast, empty and
//! zero-dimensional inputs. Fused operations run as their decomposition too. Gradients, and gradients of gradients, are
//! compared with PyTorch's and with central differences in f64. Nothing here panics: a failure is an outcome, since a panic would end a browser's page.
//! Natively `cargo test --lib conformance` runs it; in a browser a build with the feature `conformance` exports
//! `run_conformance("cpu")`, and with the feature `webgpu` also `run_conformance("webgpu")`.

mod calls;
#[cfg(test)]
mod coverage;
mod gradient;
mod variants;

use crate::{
    backend::cpu::Buffer,
    device::Device,
    dtype::DType,
    error::{Error, Result},
    format::{Checkpoint, source::MemorySource},
    op::{Gate, Op},
    shape::Shape,
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

/// How one case went on one layout.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// `operation_variant/dtype layout`
    pub name: String,
    /// What was wrong, if anything.
    pub error: Option<String>,
}

/// One entry of the golden file's list.
#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    op: String,
    dtype: String,
    #[serde(default)]
    args: serde_json::Value,
    inputs: Vec<Input>,
    tolerance: Option<f64>,
    gradient: Option<Gradient>,
}

impl Case {
    /// Has the device the dtypes of the case, or those that its name speaks of?
    fn runs_on(&self, device: &Device) -> bool {
        let names = |dtype: &str| self.dtype == dtype || self.inputs.iter().any(|i| i.dtype == dtype);
        let lacks = |dtype: DType| !device.supports(dtype);
        !DType::ALL
            .into_iter()
            .filter(|&d| lacks(d))
            .any(|d| names(d.name()) || self.args.to_string().contains(d.name()))
    }
}

/// That a case has gradients.
#[derive(Debug, Deserialize)]
struct Gradient {
    /// Of the weights `w` in `sum(result * w)`, whose gradients they are.
    seed: u32,
    /// To which inputs.
    #[serde(default)]
    inputs: Vec<usize>,
    /// To which inputs gradients of gradients are stored.
    #[serde(default)]
    second: Vec<usize>,
    /// Are there no gradients of gradients?
    #[serde(default)]
    once: bool,
}

/// An input, described.
#[derive(Debug, Deserialize)]
struct Input {
    shape: Vec<usize>,
    #[serde(default = "default_low")]
    low: f64,
    #[serde(default = "default_high")]
    high: f64,
    dtype: String,
    expand: Option<Vec<usize>>,
    seed: u32,
}

fn default_low() -> f64 {
    -2.0
}

fn default_high() -> f64 {
    2.0
}

/// How inputs lie in memory.
#[derive(Clone, Copy, Debug)]
enum Arrangement {
    Contiguous,
    /// The last two dimensions the other way round in memory.
    Transposed,
    /// Inside a larger tensor, with other numbers around.
    Sliced,
}

impl Arrangement {
    const ALL: [Self; 3] = [Self::Contiguous, Self::Transposed, Self::Sliced];

    fn name(self) -> &'static str {
        match self {
            Self::Contiguous => "contiguous",
            Self::Transposed => "transposed",
            Self::Sliced => "sliced",
        }
    }
    /// The same elements arranged so; `None` where that changes nothing.
    fn arrange(self, x: &Tensor) -> Result<Option<Tensor>> {
        let rank = x.rank();
        match self {
            Self::Contiguous => Ok(Some(x.clone())),
            Self::Transposed if rank >= 2 => x.transpose(-1, -2)?.contiguous()?.transpose(-1, -2).map(Some),
            Self::Sliced if rank >= 1 => {
                let mut larger = x.clone();
                for dim in 0..rank as isize {
                    let mut border = larger.dims().to_vec();
                    border[dim as usize] = 1;
                    let border = Tensor::full(77.0, border, x.dtype(), x.device())?;
                    larger = Tensor::cat(&[&border, &larger, &border], dim)?;
                }
                let dims = (0..rank as isize).zip(x.dims());
                dims.into_iter().try_fold(larger, |t, (dim, &size)| t.narrow(dim, 1, size)).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Element `i` is a hash of `(seed, i)` scaled to `low..high`, as `values` in the generator.
fn input(spec: &Input, device: &Device) -> Result<Tensor> {
    let dtype = DType::from_name(&spec.dtype)?;
    let shape = Shape::from(&spec.shape[..]);
    let mut bytes = Buffer::zeroed(shape.elements() * 8)?;
    for (i, value) in bytes.as_slice_mut::<f64>()?.iter_mut().enumerate() {
        let mut x = (i as u32).wrapping_add(spec.seed.wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x85EB_CA6B_u32), (13, 0xC2B2_AE35)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        x ^= x >> 16;
        let v = spec.low + (spec.high - spec.low) * (f64::from(x >> 8) / f64::from(1 << 24));
        *value = if dtype.is_int() { v.floor() } else { v };
    }
    let mut x = Tensor::from_buffer(bytes, DType::F64, shape, &Device::cpu())?;
    if matches!(dtype, DType::F16 | DType::BF16) {
        // As the generator does: rounded to f32 first.
        x = x.to_dtype(DType::F32)?;
    }
    let x = x.to_dtype(dtype)?.moved_to(device)?;
    match &spec.expand {
        Some(shape) => x.broadcast_to(&shape[..]),
        None => Ok(x),
    }
}

/// Relative error allowed to results of a dtype.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        // Sums of up to a few hundred rounded products, in another order than PyTorch's.
        DType::F32 => 2e-5,
        DType::F64 => 1e-12,
        // Half a unit in the last place is 2^-12 and 2^-9; a decomposition rounds between its steps.
        DType::F16 => 1.5e-3,
        DType::BF16 => 1.2e-2,
        _ => 0.0,
    }
}

/// Compares a result with the golden one: relative to its elements, or to 1 where they are smaller.
async fn compare(found: &Tensor, want: &Tensor, tolerance: f64) -> Result<()> {
    let wrong = |message: String| Err(Error::argument("conformance", message));
    if found.shape() != want.shape() {
        return wrong(format!("shape {} instead of {}", found.shape(), want.shape()));
    }
    if found.dtype().is_int() != want.dtype().is_int() {
        return wrong(format!("dtype {} instead of {}", found.dtype(), want.dtype()));
    }
    let (a, b) = (numbers(found).await?, numbers(want).await?);
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        let close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1.0);
        if !close {
            return wrong(format!("element {i} is {a} instead of {b}"));
        }
    }
    Ok(())
}

/// The elements, converted where there is an f64.
async fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    x.detach().to_device(&Device::cpu()).await?.to_dtype(DType::F64)?.to_vec().await
}

async fn run_case(
    case: &Case,
    golden: &Checkpoint,
    arrangement: Arrangement,
    device: &Device,
) -> Result<Option<String>> {
    let want = &stored(golden, &case.name).await?;
    let mut inputs = Vec::new();
    for spec in &case.inputs {
        let made = input(spec, device)?;
        match arrangement.arrange(&made)? {
            Some(arranged) => inputs.push(arranged),
            None if case.inputs.len() > 1 => inputs.push(made),
            None => return Ok(None),
        }
    }
    let inputs: Vec<_> = inputs.iter().collect();
    let dtype = DType::from_name(&case.dtype)?;
    let results = calls::run(&case.op, &case.args, &inputs).await?;
    for (how, found) in [("", Some(&results.direct)), ("decomposed: ", results.decomposed.as_ref())] {
        let Some(found) = found else { continue };
        let tolerance = case.tolerance.unwrap_or(tolerance(if found.dtype().is_float() {
            if dtype.is_float() { wider(dtype, found.dtype()) } else { found.dtype() }
        } else {
            found.dtype()
        }));
        compare(found, want, tolerance).await.map_err(|e| Error::argument("conformance", format!("{how}{e}")))?;
    }
    gradient::check(case, golden, &inputs).await?;
    if matches!(arrangement, Arrangement::Contiguous) && device.supports(DType::F64) {
        gradient::check_in_f64(case, golden, &inputs).await?;
    }
    Ok(Some(format!("{} {}", case.name, arrangement.name())))
}

/// Of two float dtypes the one with the larger rounding error.
fn wider(a: DType, b: DType) -> DType {
    if tolerance(a) > tolerance(b) { a } else { b }
}

/// A golden file with its list of cases.
async fn open(name: &'static str, bytes: &'static [u8]) -> Result<(Checkpoint, Vec<Case>)> {
    let wrong = |message: String| Error::format(name, message);
    let golden = Checkpoint::open(vec![Box::new(MemorySource::new(name, bytes.to_vec()))]).await?;
    let list = golden.header_metadata().string("cases").ok_or_else(|| wrong("holds no list of cases".into()))?;
    let cases = serde_json::from_str(list).map_err(|e| wrong(e.to_string()))?;
    Ok((golden, cases))
}

/// An entry of a golden file, on the CPU.
async fn stored(golden: &Checkpoint, name: &str) -> Result<Tensor> {
    let missing = || Error::format("conformance", format!("no entry {name}"));
    let info = golden.info(name).ok_or_else(missing)?;
    Tensor::from_buffer(golden.read(name).await?, info.dtype, &info.shape, &Device::cpu())
}

/// Runs the whole suite on a device: an outcome for each case and layout.
///
/// # Errors
/// When the golden file cannot be read; failing cases are outcomes.
pub async fn run(device: &Device) -> Result<Vec<Outcome>> {
    let (mut outcomes, mut opened) = (Vec::new(), Vec::new());
    let mut covered = variants::Covered::new();
    for &(room, bytes, _) in calls::ROOMS {
        let (golden, cases) = open(room, bytes).await?;
        cases.iter().for_each(|case| variants::cover(&mut covered, case));
        opened.push((golden, cases));
    }
    for (golden, cases) in &opened {
        for case in cases.iter().filter(|case| case.runs_on(device)) {
            variants::run(case, &covered, device, &mut outcomes).await;
            for arrangement in Arrangement::ALL {
                match run_case(case, golden, arrangement, device).await {
                    Ok(None) => {}
                    Ok(Some(name)) => outcomes.push(Outcome { name, error: None }),
                    Err(error) => {
                        let name = format!("{} {}", case.name, arrangement.name());
                        outcomes.push(Outcome { name, error: Some(error.to_string()) });
                    }
                }
            }
        }
    }
    for dtype in DType::ALL.into_iter().filter(|d| d.is_quantized()) {
        let error = blocks(dtype, device).await.err().map(|e| e.to_string());
        outcomes.push(Outcome { name: format!("linear_blocks/{dtype}"), error });
    }
    Ok(outcomes)
}

/// Products with and look-ups in a block format, against the same weights dequantized.
async fn blocks(dtype: DType, device: &Device) -> Result<()> {
    let spec = |shape: &[usize], seed| Input {
        shape: shape.to_vec(),
        low: -1.0,
        high: 1.0,
        dtype: "f32".into(),
        expand: None,
        seed,
    };
    let weight = input(&spec(&[24, 512], 1), &Device::cpu())?.to_dtype(dtype)?.moved_to(device)?;
    let plain = weight.to_dtype(DType::F32)?;
    for rows in [1, 3, 40] {
        let x = input(&spec(&[rows, 512], 2), device)?;
        // Activations are rounded to 1/127 of the largest of their block, each by at most half of that; over 512 products
        // the errors add up as a random walk: 0.33 · 0.0023 · √512 is 0.017, of which 6 standard deviations are allowed.
        compare_absolute(&x.linear(&weight, None)?, &x.linear(&plain, None)?, 0.1).await?;
        let (scale, residual) = (input(&spec(&[512], 3), device)?, input(&spec(&[rows, 24], 4), device)?);
        let norm = Some(1e-5);
        // Behind the norm inputs are √3 times as large; gated, two products of up to 20 are multiplied.
        for (op, allowed) in [(Op::Linears { norm }, 0.2), (Op::GatedLinears { gate: Gate::Relu, norm }, 4.0)] {
            let found = Tensor::apply(op.clone(), &[&x, &scale, &weight, &weight])?;
            compare_absolute(&found, &Tensor::apply(op, &[&x, &scale, &plain, &plain])?, allowed).await?;
        }
        let found = Tensor::apply(Op::LinearAdd, &[&x, &weight, &residual])?;
        compare_absolute(&found, &Tensor::apply(Op::LinearAdd, &[&x, &plain, &residual])?, 0.1).await?;
    }
    gradient::check_blocks(&weight, device).await?;
    let ids = Tensor::new([3u32, 0, 23], device)?;
    compare(&ids.embedding(&weight, DType::F32)?, &plain.index_select(0, &ids)?, 0.0).await
}

async fn compare_absolute(found: &Tensor, want: &Tensor, limit: f64) -> Result<()> {
    let difference = found.sub(want)?.abs()?.max(..)?.to_scalar::<f32>().await?;
    if f64::from(difference) <= limit {
        return Ok(());
    }
    Err(Error::argument("conformance", format!("results differ by {difference}, more than {limit}")))
}

/// Runs the suite in the browser on `cpu` or `webgpu`: `{"device", "total": n, "failed": [{"name", "error"}, …]}` as JSON.
#[cfg(all(target_arch = "wasm32", feature = "conformance"))]
#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn run_conformance(device: String) -> String {
    let outcome = async {
        let device = browser_device(&device).await?;
        run(&device).await
    };
    match outcome.await {
        Ok(outcomes) => {
            let failed: Vec<_> = outcomes.iter().filter(|o| o.error.is_some()).collect();
            serde_json::json!({ "device": device, "total": outcomes.len(), "failed": failed }).to_string()
        }
        Err(error) => {
            let failed = [Outcome { name: "suite".into(), error: Some(error.to_string()) }];
            serde_json::json!({ "device": device, "total": 0, "failed": failed }).to_string()
        }
    }
}

/// A device of the browser by name; a GPU's fresh memory is poisoned.
#[cfg(all(target_arch = "wasm32", feature = "conformance"))]
async fn browser_device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::cpu()),
        #[cfg(feature = "webgpu")]
        "webgpu" => {
            let backend =
                crate::backend::webgpu::WebGpuBackend::open_with(crate::backend::webgpu::Opening::poisoned()).await?;
            Ok(Device::of(std::sync::Arc::new(backend)))
        }
        other => Err(Error::argument("run_conformance", format!("no device {other:?} in this build"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_conforms() {
        let outcomes = pollster::block_on(run(&Device::cpu())).unwrap();
        let failed: Vec<_> =
            outcomes.iter().filter_map(|o| o.error.as_ref().map(|e| format!("{}: {e}", o.name))).collect();
        assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), outcomes.len(), failed.join("\n"));
        // As many as the generator's list gives, in case a change makes cases vanish.
        assert!(outcomes.len() > 9000, "only {} outcomes", outcomes.len());
    }
}
