//! Weights on their way to the GPU, and those that are too large for one binding. Limits are scaled down.

use super::{
    WebGpuBackend,
    device::Opening,
    recorder::STAGED,
    tests::{device_with, golden, logits},
};
use crate::{
    DType, Device, Result, Tensor,
    backend::{LocalFuture, cpu::Buffer},
    format::{ByteSource, Checkpoint, FileSource, MemorySource, source::PIECE},
    models::{Decoder, DecoderConfig},
    nn::{StateDict, Weights},
};
use std::{cell::Cell, ops::ControlFlow, rc::Rc, sync::atomic::Ordering};

const BINDING: u64 = 32 << 10;

fn small() -> Option<Device> {
    device_with(Opening { poison: true, max_binding: BINDING, ..Opening::default() })
}

/// Values that repeat only after a while, in -1..1.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 2001) as f32 / 1000.0 - 1.0).collect()
}

fn close(what: &str, found: &Tensor, wanted: &Tensor, tolerance: f32) -> Result<()> {
    assert_eq!(found.dims(), wanted.dims(), "{what}");
    let (found, wanted) = (found.to_vec_sync::<f32>()?, wanted.to_vec_sync::<f32>()?);
    let difference = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference <= tolerance, "{what}: {difference}");
    Ok(())
}

#[test]
fn webgpu_multiplies_and_looks_up_in_weights_of_several_bindings() -> Result<()> {
    let (Some(device), cpu) = (small(), Device::cpu()) else { return Ok(()) };
    let (n, k) = (650, 64);
    let bias = Tensor::from_slice(&values(n), [n], &cpu)?;
    let ids = Tensor::new([[0u32, 649, 128], [127, 400, 649]], &cpu)?;
    for dtype in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0] {
        let table = Tensor::from_slice(&values(n * k), [n, k], &cpu)?.to_dtype(dtype)?;
        let there = pollster::block_on(table.to_device(&device))?;
        let held = dtype.bytes_for(n * k).unwrap() as u64;
        let parts = there.view().storage.as_any().downcast_ref::<super::split::Split>().map_or(1, |s| s.parts.len());
        // Parts end at groups of four rows.
        assert_eq!(parts as u64, held.div_ceil(BINDING), "{dtype}: {held} bytes in {parts} parts");
        for rows in [1, 12] {
            let x = Tensor::from_slice(&values(rows * k), [rows, k], &cpu)?;
            let wanted = x.linear(&table.to_dtype(DType::F32)?, Some(&bias))?;
            let found = pollster::block_on(x.to_device(&device))?
                .linear(&there, Some(&pollster::block_on(bias.to_device(&device))?))?;
            // Sums of 64 products of numbers up to 1, in another order.
            close(&format!("linear {dtype} x {rows}"), &found, &wanted, 1e-4)?;
        }
        let wanted = ids.embedding(&table, DType::F32)?;
        let found = pollster::block_on(ids.to_device(&device))?.embedding(&there, DType::F32)?;
        close(&format!("embedding {dtype}"), &found, &wanted, 0.0)?;
        assert_eq!(
            pollster::block_on(there.to_buffer())?.bytes(),
            pollster::block_on(table.to_buffer())?.bytes(),
            "{dtype}: read back"
        );
        // What lies in one part is like any other tensor.
        let (a, b) = (there.narrow(0, 640, 10)?.to_dtype(DType::F32)?, table.narrow(0, 640, 10)?.to_dtype(DType::F32)?);
        close(&format!("rows of {dtype}"), &a, &b, 0.0)?;
    }
    let table = pollster::block_on(Tensor::from_slice(&values(n * k), [n, k], &cpu)?.to_device(&device))?;
    let message = table.sqr().unwrap_err().to_string();
    assert!(message.starts_with("sqr: an operand of 166400 bytes is in parts"), "{message}");
    let message = table.t()?.matmul(&table).unwrap_err().to_string();
    assert!(message.starts_with("matmul: an operand"), "{message}");
    let wide = Tensor::zeros([2, 1 << 20], DType::F32, &device).unwrap_err().to_string();
    assert!(wide.contains("binds at once"), "{wide}");
    Ok(())
}

/// A file that is nowhere: its bytes are made when they are asked for.
struct Endless {
    head: Vec<u8>,
    len: u64,
    longest: Rc<Cell<usize>>,
}

fn byte(at: u64) -> u8 {
    (at / 4 % 251) as u8
}

impl ByteSource for Endless {
    fn name(&self) -> &str {
        "large.safetensors"
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>> {
        Box::pin(async move {
            self.longest.set(self.longest.get().max(len));
            let made = (offset..offset + len as u64)
                .map(|at| self.head.get(at as usize).copied().unwrap_or_else(|| byte(at - self.head.len() as u64)));
            Buffer::copy_from(&made.collect::<Vec<_>>())
        })
    }
    // As a source would that has all in memory, and so is asked for all at once where that is not bounded.
    fn max_read(&self) -> usize {
        usize::MAX
    }
}

/// No memory of the host holds more than a piece of the file and what is under way, however large the model: here three times
/// as much.
#[test]
fn webgpu_holds_no_more_of_a_model_than_a_piece() -> Result<()> {
    let Some(device) = device_with(Opening { max_binding: 20 << 20, ..Opening::default() }) else { return Ok(()) };
    let (rows, columns) = (30 << 10, 1 << 10);
    let bytes = rows * columns * 4;
    assert!(bytes as u64 > 2 * (STAGED + PIECE as u64));
    let mut head = format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{rows},{columns}],\"data_offsets\":[0,{bytes}]}}}}");
    head += &" ".repeat(head.len().next_multiple_of(8) - head.len());
    let mut head = [&(head.len() as u64).to_le_bytes()[..], head.as_bytes()].concat();
    head.shrink_to_fit();
    let longest = Rc::new(Cell::new(0));
    let start = head.len() as u64;
    let source = Endless { len: start + bytes as u64, head, longest: longest.clone() };
    let checkpoint = pollster::block_on(Checkpoint::open(vec![Box::new(source)]))?;
    let weights = Weights::from_checkpoint(Rc::new(checkpoint), &device);
    let w = pollster::block_on(weights.get("w", [rows, columns]))?;
    assert_eq!(longest.get(), PIECE);
    let backend = device.backend().as_any().downcast_ref::<WebGpuBackend>().unwrap();
    let staged = backend.stats.staged.load(Ordering::Relaxed);
    assert!(staged >= STAGED && staged <= STAGED + PIECE as u64, "{staged}");
    for row in [0, 4096, 5119, 5120, rows - 1] {
        let found = pollster::block_on(w.narrow(0, row, 1)?.to_buffer())?;
        let first = (row * columns * 4) as u64;
        assert!(found.bytes().iter().zip(first..).all(|(&b, at)| b == byte(at)), "row {row}");
    }
    Ok(())
}

#[test]
fn webgpu_runs_a_model_whose_embedding_is_in_parts() -> Result<()> {
    let (Some(device), cpu) = (small(), Device::cpu()) else { return Ok(()) };
    let text = std::fs::read_to_string(golden("models/llama.config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["vocab_size"] = 1000.into();
    let load = |weights: &Weights| {
        let config = DecoderConfig::from_json(&config.to_string())?;
        pollster::block_on(Decoder::load(config, weights, &mut |_| ControlFlow::Continue(())))
    };
    // The tiny model, with more words.
    let file = FileSource::open(golden("models/llama.safetensors"))?;
    let mut state = pollster::block_on(StateDict::read(Box::new(file), &cpu))?;
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        let table = Tensor::from_slice(&values(1000 * 32), [1000, 32], &cpu)?.to_dtype(DType::F16)?;
        assert!(state.tensors.insert(name.into(), table).is_some(), "{name}");
    }
    let file = pollster::block_on(state.write(std::io::Cursor::new(Vec::new()), "model"))?.into_inner();
    let open = |device| {
        let source = MemorySource::new("model.safetensors", file.clone());
        let checkpoint = pollster::block_on(Checkpoint::open(vec![Box::new(source)]))?;
        load(&Weights::from_checkpoint(Rc::new(checkpoint), device))
    };
    let (here, there) = (open(&cpu)?, open(&device)?);
    for ids in [vec![999, 0, 500, 255, 256, 3, 77, 800, 12], vec![999]] {
        let (found, wanted) = (logits(&there, &ids)?, logits(&here, &ids)?);
        let difference = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // As in tests/decoder_tiny.rs: sums in another order.
        assert!(difference <= 1e-4, "{} ids: {difference}", ids.len());
    }
    Ok(())
}
