//! Products of many rows by each kernel, compared with that of f32.

use super::{device::Opening, tests::device_with, tiles::Tiles};
use crate::{
    DType, Device, Result, Tensor,
    op::{Gate, Op},
    quant::tests::FORMATS,
};

fn forced(tiles: Tiles) -> Option<Device> {
    device_with(Opening { tiles: Some(tiles), ..Opening::poisoned() })
}

/// Numbers between -1 and 1 that follow no simple pattern.
fn wave(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * step).sin() * (i as f32 * 0.37 * step).cos()).collect()
}

fn tensor(values: &[f32], shape: &[usize], device: &Device) -> Result<Tensor> {
    Tensor::from_slice(values, shape, device)
}

/// Products by a kernel and by that of f32 differ by no more than a part of the largest result.
pub(super) fn compared(tiles: Tiles, formats: &[DType], allowed: f32) -> Result<()> {
    let (Some(found), Some(wanted)) = (forced(tiles), forced(Tiles::Float)) else { return Ok(()) };
    let random = |shape: &[usize], step: f32| tensor(&wave(shape.iter().product(), step), shape, &Device::cpu());
    for &format in formats {
        let shortest = format.block_len().max(32);
        // Below and above a tile; a batch of rows with others between them.
        for (m, n, k) in [(9, 70, shortest), (70, 64, 3 * shortest), (150, 24, 512)] {
            let weights = [0.3, 0.7].map(|step| random(&[n, k], step).and_then(|w| w.to_dtype(format)));
            let [first, second] = weights;
            let (first, second) = (first?, second?);
            let results = [&found, &wanted].map(|device| -> Result<Vec<Vec<f32>>> {
                let (first, second) = (first.clone().moved_to(device)?, second.clone().moved_to(device)?);
                let x = random(&[2, m, k], 0.9)?.moved_to(device)?.narrow(1, 1, m - 1)?;
                let bias = random(&[n], 0.1)?.moved_to(device)?;
                let residual = random(&[2, m - 1, n], 0.2)?.moved_to(device)?;
                let scale = random(&[k], 0.6)?.moved_to(device)?;
                let norm = Some(1e-5);
                let all = [
                    x.linear(&first, None)?,
                    x.linear(&first, Some(&bias))?,
                    x.narrow(0, 1, 1)?.linear(&first.narrow(0, 3, n - 3)?, None)?,
                    Tensor::apply(Op::LinearAdd, &[&x, &first, &residual])?,
                    Tensor::apply(Op::Linears { norm: None }, &[&x, &first, &second, &first])?,
                    Tensor::apply(Op::Linears { norm }, &[&x, &scale, &first, &second])?,
                    Tensor::apply(Op::GatedLinears { gate: Gate::Silu, norm: None }, &[&x, &first, &second])?,
                ];
                all.iter().map(|result| result.to_vec_sync::<f32>()).collect()
            });
            let [found, wanted] = results;
            for (i, (found, wanted)) in found?.iter().zip(&wanted?).enumerate() {
                let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let largest = wanted.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
                println!("{tiles:?} {format} {m} x {n} x {k}, {i}: {worst} of {largest}");
                assert!(found.iter().all(|v| v.is_finite()), "{format} {m} {n} {k}");
                assert!(worst <= allowed * largest, "{tiles:?} {format} {m} x {n} x {k}, {i}: {worst} of {largest}");
            }
        }
    }
    Ok(())
}

/// Elements of rows are rounded to 1/32639 of the largest of 32, each by at most half of that: 9e-6 in the mean. Over 512 products
/// with weights of 0.5 the errors add up as a random walk, 1e-4, of which 6 standard deviations are allowed beside results of which
/// the largest is 2.5; gated, the errors of two results add up.
#[test]
fn webgpu_multiplies_packed_bytes() -> Result<()> {
    compared(Tiles::Packed, &FORMATS, 4e-4)
}

/// Weights that stay floats are multiplied as ever.
#[test]
fn webgpu_packs_blocks_only() -> Result<()> {
    compared(Tiles::Packed, &[DType::F32, DType::F16, DType::BF16], 0.0)
}

/// Rows of zeros give zeros; where something is infinite or not a number, all of the row is not a number, and no other row.
#[test]
fn webgpu_packs_rows_of_zeros_and_of_no_numbers() -> Result<()> {
    let Some(device) = forced(Tiles::Packed) else { return Ok(()) };
    let weights = tensor(&wave(40 * 64, 0.3), &[40, 64], &Device::cpu())?;
    for format in [DType::Q8_0, DType::Q4_1] {
        let mut x = wave(12 * 64, 0.9);
        x[..64].fill(0.0);
        x[64..128].fill(1e-38);
        (x[130], x[200], x[300]) = (f32::NAN, f32::INFINITY, 1e30);
        let w = weights.to_dtype(format)?.moved_to(&device)?;
        let found = tensor(&x, &[12, 64], &device)?.linear(&w, None)?.to_vec_sync::<f32>()?;
        for (row, found) in found.chunks(40).enumerate() {
            match row {
                0 => assert!(found.iter().all(|&v| v == 0.0), "{format}: {found:?}"),
                1 => assert!(found.iter().all(|&v| v.abs() < 1e-30), "{format}: {found:?}"),
                2 | 3 => assert!(found.iter().all(|v| v.is_nan()), "{format}: {found:?}"),
                _ => assert!(found.iter().all(|v| v.is_finite()), "{format}: row {row} {found:?}"),
            }
        }
    }
    Ok(())
}
