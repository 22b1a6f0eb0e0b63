//! The conformance suite and the backend's own tests, on the machine's adapter.
//!
//! Without an adapter they pass, and say so on standard error, unless `VOTIVE_WEBGPU_TESTS=require`: then that is a failure.

use super::{WebGpuBackend, device::Opening};
use crate::{
    DType, Device, Result, Tensor, conformance,
    format::{Checkpoint, FileSource},
    models::{Decoder, DecoderConfig},
    nn::Weights,
};
use std::{
    io::Write,
    ops::ControlFlow,
    path::PathBuf,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

/// Every program that was put together, as browsers read it.
static PROGRAMS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

pub(super) fn composed(name: &str, text: &str) {
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner).push((name.into(), text.into()));
}

/// A device of its own, whose fresh memory is poisoned; `None` where there is no adapter.
pub(crate) fn device() -> Option<Device> {
    device_with(Opening::poisoned())
}

/// A device of its own; `None` where there is no adapter.
pub(crate) fn device_with(opening: Opening) -> Option<Device> {
    match pollster::block_on(WebGpuBackend::open_with(opening)) {
        Ok(backend) => Some(Device::of(Arc::new(backend))),
        Err(error) if std::env::var("VOTIVE_WEBGPU_TESTS").as_deref() == Ok("require") => panic!("{error}"),
        Err(error) => {
            // Past the test harness, which keeps to itself what passing tests say.
            let _ = writeln!(std::io::stderr(), "NOT TESTED on a GPU, since this machine gives none: {error}");
            None
        }
    }
}

pub(super) fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

/// One of the tiny models of `tests/decoder_tiny.rs`.
pub(super) fn golden_model(name: &str, device: &Device) -> Decoder {
    let config = std::fs::read_to_string(golden(&format!("models/{name}.config.json"))).unwrap();
    let source = FileSource::open(golden(&format!("models/{name}.safetensors"))).unwrap();
    let checkpoint = pollster::block_on(Checkpoint::open(vec![Box::new(source)])).unwrap();
    let weights = Weights::from_checkpoint(Rc::new(checkpoint), device);
    let config = DecoderConfig::from_json(&config).unwrap();
    pollster::block_on(Decoder::load(config, &weights, &mut |_| ControlFlow::Continue(()))).unwrap()
}

/// Of the last of the ids.
pub(super) fn logits(model: &Decoder, ids: &[u32]) -> Result<Vec<f32>> {
    pollster::block_on(model.forward(ids, &mut model.new_cache())?.to_vec())
}

/// Checks every program that the suite put together by naga's rules for all of WebGPU, and by tint where it is installed.
fn check_programs() {
    let mut programs = std::mem::take(&mut *PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner));
    programs.sort();
    programs.dedup();
    assert!(programs.len() > 500, "only {} programs", programs.len());
    let folder = std::env::temp_dir().join(format!("votive-shaders-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut wrong = Vec::new();
    for (i, (name, text)) in programs.iter().enumerate() {
        let file = folder.join(format!("{i}.wgsl"));
        std::fs::write(&file, text).unwrap();
        let Ok(found) = std::process::Command::new("tint").args(["-f", "wgsl", "-o", "/dev/null"]).arg(&file).output()
        else {
            let _ = writeln!(
                std::io::stderr(),
                "NOT CHECKED by tint, which is not on the PATH: {} shaders",
                programs.len()
            );
            break;
        };
        if !found.status.success() {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&found.stderr)));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(wrong.is_empty(), "tint refuses {} of {} shaders:\n{}", wrong.len(), programs.len(), wrong.join("\n"));
}

#[test]
fn webgpu_conforms() {
    let Some(device) = device() else { return };
    let outcomes = pollster::block_on(conformance::run(&device)).unwrap();
    let failed: Vec<_> = outcomes.iter().filter_map(|o| o.error.as_ref().map(|e| format!("{}: {e}", o.name))).collect();
    let stats = device.stats().unwrap();
    println!("{}\n{stats:?}", device.adapter().unwrap().name);
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), outcomes.len(), failed.join("\n"));
    assert!(outcomes.len() > 2000, "only {} outcomes", outcomes.len());
    // naga has compiled each of them already.
    check_programs();
}

/// Times of kernels, where the adapter has a clock: of all that run meanwhile, and of nothing else.
#[test]
fn webgpu_times_kernels() -> Result<()> {
    let Some(device) = device_with(Opening::default()) else { return Ok(()) };
    let x = Tensor::ones([64, 64], DType::F32, &device)?;
    x.exp()?.to_vec_sync::<f32>()?;
    if !device.begin_timing()? {
        assert!(!device.adapter().unwrap().timestamps);
        return Ok(());
    }
    for _ in 0..3 {
        assert_eq!(x.matmul(&x)?.exp()?.to_vec_sync::<f32>()?.len(), 64 * 64);
    }
    let times = pollster::block_on(device.end_timing())?;
    let mut found: Vec<_> = times.iter().map(|time| (time.kernel, time.dispatches)).collect();
    found.sort_unstable();
    assert_eq!(found, [("matmul", 3), ("unary", 3)]);
    assert!(times.iter().all(|time| time.microseconds > 0.0 && time.microseconds < 6e7), "{times:?}");
    // Over again, and off.
    x.exp()?.to_vec_sync::<f32>()?;
    assert!(pollster::block_on(device.end_timing())?.is_empty());
    Ok(())
}

#[test]
fn webgpu_refuses_what_it_does_not_hold() {
    let Some(device) = device() else { return };
    let message = |result: Result<Tensor>| result.unwrap_err().to_string();
    assert!(message(Tensor::new([1.0f64], &device)).contains("no f64"));
    assert!(message(Tensor::new([1i64 << 31], &device)).contains("2147483648 is outside"));
    let x = Tensor::zeros([1, 32], DType::F32, &device).unwrap();
    assert!(message(x.to_dtype(DType::F64)).starts_with("to_dtype: WebGPU has no f64"));
    assert!(message(x.to_dtype(DType::Q4_0)).contains("quantize on the CPU"));
}

#[test]
fn webgpu_brings_indices_into_range() -> Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let x = Tensor::new([1.0f32, 2.0, 3.0], &device)?;
    let indices = Tensor::new([-5i32, 1, 900], &device)?;
    assert_eq!(x.index_select(0, &indices)?.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0]);
    let ones = Tensor::ones([3], DType::F32, &device)?;
    assert_eq!(x.scatter_add(0, &indices, &ones)?.to_vec_sync::<f32>()?, [1.0, 3.0, 3.0]);
    let (a, b) = (Tensor::new([7i32, 7], &device)?, Tensor::new([2i32, 0], &device)?);
    assert_eq!(a.div(&b)?.to_vec_sync::<i32>()?, [3, 0]);
    Ok(())
}

#[test]
fn webgpu_does_the_same_again_without_creating_anything() -> Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let w = Tensor::ones([64, 32], DType::F32, &device)?;
    let step = || -> Result<Vec<f32>> {
        let x = Tensor::new([[0.5f32; 32]], &device)?;
        x.linear(&w, None)?.softmax(-1)?.add_scalar(1.0)?.to_vec_sync()
    };
    let first = step()?;
    step()?;
    let before = device.stats().unwrap();
    assert_eq!(step()?, first);
    let cost = device.stats().unwrap() - before;
    assert_eq!((cost.buffers, cost.bind_groups, cost.pipelines, cost.submits), (0, 0, 0, 1), "{cost:?}");
    Ok(())
}

/// Sums of products and norms, by subgroups and without: the same but for the order of additions.
#[test]
fn webgpu_sums_alike_without_subgroups() -> Result<()> {
    let mut results = Vec::new();
    for plain in [false, true] {
        let Some(device) = device_with(Opening { plain, ..Opening::poisoned() }) else { return Ok(()) };
        let info = device.adapter().unwrap();
        assert!(!plain || !info.subgroups);
        println!("{}: subgroups {}", info.name, info.subgroups);
        let wave = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
        let mut found = Vec::new();
        for depth in [32, 300, 2048] {
            let x = Tensor::from_slice(&wave(3 * depth, 0.7), [3, depth], &device)?;
            let w = Tensor::from_slice(&wave(37 * depth, 0.3), [37, depth], &device)?;
            let scale = Tensor::from_slice(&wave(depth, 0.1), [depth], &device)?;
            for result in [x.linear(&w, None)?, x.rms_norm(&scale, 1e-5)?, x.layer_norm(&scale, None, 1e-5)?] {
                found.extend(result.to_vec_sync::<f32>()?);
            }
        }
        results.push(found);
    }
    // Sums of up to 2048 products of at most 1, of which the roundings differ: at most 2048 * 2^-24 each.
    let worst = results[0].iter().zip(&results[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-4, "{worst}");
    Ok(())
}

#[test]
fn webgpu_says_what_is_too_large() {
    let Some(device) = device() else { return };
    let most = device.adapter().unwrap().max_binding as usize;
    let x = Tensor::ones([1], DType::F32, &device).unwrap();
    let large = x.broadcast_to([most / 4 + 1024]).unwrap().contiguous().unwrap_err();
    assert!(large.to_string().contains("binds at once"), "{large}");
}
