//! What goes wrong on a GPU, provoked.

use super::{
    POISON, WebGpuBackend,
    device::Opening,
    memory_of,
    recorder::ReadBack,
    tests::{device_with, golden_model, logits},
};
use crate::{DType, Device, Error, Result, Tensor, backend::View, layout::Layout};
use std::sync::Arc;

pub(super) fn backend(device: &Device) -> &WebGpuBackend {
    device.backend().as_any().downcast_ref().unwrap()
}

/// What it looks like to unplug it.
fn lose(device: &Device) {
    let gpu = &backend(device).gpu;
    gpu.device.destroy();
    gpu.device.poll(wgpu::PollType::Poll).ok();
}

#[test]
fn webgpu_reports_a_lost_device_and_loads_the_model_again() {
    if device_with(Opening::default()).is_none() {
        return;
    }
    let open = || pollster::block_on(Device::webgpu()).unwrap();
    let device = open();
    assert!(device.same(&open()));
    let model = golden_model("llama", &device);
    let before = logits(&model, &[1, 2, 3]).unwrap();
    lose(&device);
    let lost = logits(&model, &[1, 2, 3]).unwrap_err();
    assert!(matches!(&lost, Error::DeviceLost(reason) if reason.contains("Destroyed")), "{lost}");
    assert_eq!(lost.kind(), "device-lost");
    let lost = Tensor::new([1.0f32], &device).unwrap_err();
    assert_eq!(lost.kind(), "device-lost");

    let again = open();
    assert!(!again.same(&device));
    assert_eq!(logits(&golden_model("llama", &again), &[1, 2, 3]).unwrap(), before);
}

#[test]
fn webgpu_reports_a_lost_device_to_who_waits_for_a_value() -> Result<()> {
    let Some(device) = device_with(Opening::default()) else { return Ok(()) };
    let y = Tensor::new([1.0f32], &device)?.sqr()?;
    lose(&device);
    assert_eq!(y.to_vec_sync::<f32>().unwrap_err().kind(), "device-lost");
    Ok(())
}

#[test]
fn webgpu_names_the_shader_that_is_wrong() -> Result<()> {
    let Some(device) = device_with(Opening::default()) else { return Ok(()) };
    let gpu = &backend(&device).gpu;
    let layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor::default());
    let text = "@compute @workgroup_size(1) fn main() { let x: f32 = 1u; }";
    let error = gpu.pipeline("a shader", text, &layout).unwrap_err();
    assert!(error.to_string().starts_with("webgpu: a shader: "), "{error}");
    assert_eq!(error.kind(), "device");
    // Nothing was promised that depends on it.
    assert_eq!(Tensor::new([2.0f32], &device)?.sqr()?.to_vec_sync::<f32>()?, [4.0]);
    Ok(())
}

/// A batch that WebGPU refuses runs nothing of what was recorded: no later value may be handed out as if it had.
#[test]
fn webgpu_hands_out_no_value_after_a_batch_was_refused() -> Result<()> {
    let Some(device) = device_with(Opening::default()) else { return Ok(()) };
    let x = Tensor::new([2.0f32], &device)?;
    let y = x.sqr()?;
    let backend = backend(&device);
    let layout = Layout::contiguous(1);
    let view = x.view();
    let from = memory_of(&View { storage: view.storage, layout: &layout, dtype: DType::F32 })?.raw();
    let to = backend.gpu.buffer("a test", 256, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?;
    let beyond = ReadBack { from, start: 1 << 20, bytes: 256, to: &to };
    let error = backend.recorder.flush(Some(beyond)).unwrap_err();
    assert!(error.to_string().starts_with("webgpu: a batch of 1 kernels: "), "{error}");
    assert_eq!(error.kind(), "device");
    assert_eq!(y.to_vec_sync::<f32>().unwrap_err().to_string(), error.to_string());
    assert!(!backend.is_alive());
    Ok(())
}

/// An error that no scope is around, as drivers report some.
#[test]
fn webgpu_takes_errors_outside_of_scopes_as_its_own() -> Result<()> {
    let Some(device) = device_with(Opening::default()) else { return Ok(()) };
    let x = Tensor::new([2.0f32], &device)?;
    let (size, usage) = (u64::MAX / 8 * 4, wgpu::BufferUsages::STORAGE);
    let wrong = wgpu::BufferDescriptor { label: Some("wrong"), size, usage, mapped_at_creation: false };
    let _ = backend(&device).gpu.device.create_buffer(&wrong);
    let error = x.sqr().unwrap_err();
    assert!(error.to_string().starts_with("webgpu: a command: "), "{error}");
    Ok(())
}

#[test]
fn webgpu_runs_out_of_memory_with_an_error_and_goes_on() -> Result<()> {
    const MIB: usize = 1 << 20;
    let Some(device) = device_with(Opening { max_memory: 8 * MIB as u64, ..Opening::default() }) else { return Ok(()) };
    let large = |mib: usize| Tensor::zeros([mib * MIB / 4], DType::F32, &device);
    let error = large(12).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { bytes, .. } if bytes == 12 * MIB as u64), "{error}");
    assert_eq!(error.kind(), "out-of-memory");
    let kept = large(5)?;
    assert_eq!(kept.sqr().unwrap_err().kind(), "out-of-memory");
    // What waits for reuse makes room for what is larger.
    drop(kept);
    assert_eq!(large(6)?.narrow(0, 0, 2)?.to_vec_sync::<f32>()?, [0.0; 2]);
    Ok(())
}

/// Asks for buffers until the driver has no more. None is written, so none takes memory of the machine.
#[test]
fn webgpu_survives_when_the_driver_runs_out_of_memory() -> Result<()> {
    let Some(device) = device_with(Opening::default()) else { return Ok(()) };
    let x = Tensor::new([2.0f32], &device)?;
    let gpu = &backend(&device).gpu;
    let size = gpu.limits.max_buffer_size.min(1 << 40) / 4 * 4;
    let mut held = Vec::new();
    let error = loop {
        match gpu.buffer("a weight", size, wgpu::BufferUsages::STORAGE) {
            Ok(buffer) => held.push(buffer),
            Err(error) => break error,
        }
        if held.len() == 256 {
            println!("256 buffers of {size} bytes were given: this driver promises what it may not have");
            return Ok(());
        }
    };
    println!("after {} buffers of {size} bytes: {error}", held.len());
    assert!(matches!(error, Error::OutOfMemory { bytes, .. } if bytes == size), "{error}");
    drop(held);
    assert_eq!(x.sqr()?.to_vec_sync::<f32>()?, [4.0]);
    Ok(())
}

#[test]
fn webgpu_poisons_memory_that_is_used_again() -> Result<()> {
    let words = |poison: bool| -> Result<Option<Vec<u32>>> {
        let Some(device) = device_with(Opening { poison, ..Opening::default() }) else { return Ok(None) };
        // A result and an upload, both given back.
        drop(Tensor::new([1u32; 80], &device)?.mul(&Tensor::new([7u32; 80], &device)?)?.to_vec_sync::<u32>()?);
        let fresh = backend(&device).fresh("a test", DType::U32, 80)?;
        let words = |storage, n| {
            let x = Tensor::from_storage(storage, [n].into(), DType::U32, &device);
            x.to_vec_sync::<u32>()
        };
        let mut found = words(Arc::new(fresh), 80)?;
        // The words behind an upload of one.
        let short = Tensor::new([5u32], &device)?;
        let all = crate::backend::Storage::clone(short.view().storage);
        found.extend(words(all, 64)?);
        Ok(Some(found))
    };
    let (Some(poisoned), Some(plain)) = (words(true)?, words(false)?) else { return Ok(()) };
    assert!(poisoned[..80].iter().all(|&w| w == POISON), "{poisoned:x?}");
    assert_eq!(poisoned[80], 5);
    assert!(poisoned[81..].iter().all(|&w| w == POISON), "{poisoned:x?}");
    // Without it, what was there before shows: so the test sees memory that is used again.
    assert!(plain[..80].iter().any(|&w| w != POISON && w != 0), "{plain:x?}");
    assert!(f32::from_bits(POISON).is_nan());
    Ok(())
}
