//! Matrix units: programs as every adapter would get them, and products compared with those of f32.

use super::{
    device::Opening,
    failure_tests::backend,
    memory::Encoding,
    shader::{self, Class, Value, Variant, pieces},
    tests::{device_with, golden_model, logits},
    tiles::Tiles,
    tiles_tests::compared,
    units::Units,
};
use crate::{DType, Device, Result, Tensor, quant::tests::FORMATS};
use std::{io::Write, process::Command};

/// A device that is made to use its matrix units; `None` where it has none.
fn device() -> Option<Device> {
    device_of(Opening { tiles: Some(Tiles::Matrices), ..Opening::poisoned() })
}

fn device_of(opening: Opening) -> Option<Device> {
    let device = device_with(opening)?;
    let info = device.adapter()?;
    if !info.matrices {
        let _ = writeln!(std::io::stderr(), "NOT TESTED with matrix units, which {} does not have", info.name);
    }
    info.matrices.then_some(device)
}

fn units(rows: u32, columns: u32, depth: u32, halves: bool) -> Units {
    Units { rows, columns, depth, halves }
}

/// The program of a product with weights that are held so.
fn product(units: Units, weights: Encoding) -> Variant {
    let mut values = units.values();
    values.extend([("STRIDED", Value::Flag(false)), ("WORKGROUP", Value::Number(128))]);
    Variant {
        kernel: shader::LINEAR_MATRIX.name,
        class: Class::Float,
        inputs: vec![if units.halves { Encoding::U32 } else { Encoding::F32 }, weights],
        names: vec!["a", "b"],
        eights: 0b10 | u32::from(!units.halves),
        quads: u32::from(units.halves),
        result: DType::F32,
        values,
        pieces: [pieces::PLAIN].into_iter().chain(units.pieces()).collect(),
    }
}

/// What a checker says of a program, or why there is nothing to say.
fn refusal(checker: &str, arguments: &[&str], text: &str) -> Option<String> {
    let file = std::env::temp_dir().join(format!("votive-matrix-{checker}-{}.wgsl", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let found = Command::new(checker).args(arguments).arg(&file).output();
    std::fs::remove_file(&file).unwrap();
    let Ok(found) = found else {
        let _ = writeln!(std::io::stderr(), "NOT CHECKED by {checker}, which is not on the PATH");
        return None;
    };
    (!found.status.success()).then(|| String::from_utf8_lossy(&found.stderr).into_owned())
}

/// Of all that real adapters offer: what runs here is one of them at most.
#[test]
fn webgpu_matrix_programs_are_valid() {
    let all = [
        units(8, 8, 8, true),
        units(16, 16, 16, true),
        units(8, 16, 16, true),
        units(16, 8, 16, true),
        units(8, 8, 8, false),
        units(16, 16, 8, false),
    ];
    for units in all {
        let mut programs = vec![(&shader::MATRIX_TRIAL, units.trial(64))];
        for weights in [Encoding::F16, Encoding::Blocks(DType::Q4_K)] {
            programs.push((&shader::LINEAR_MATRIX, product(units, weights)));
        }
        for (kernel, variant) in programs {
            let text = shader::compose_for(true, kernel, &variant);
            let refused = refusal("tint", &["-f", "wgsl", "-o", "/dev/null"], &text);
            assert!(refused.is_none(), "{units:?}: {}", refused.unwrap_or_default());
            if units.rows == units.columns && units.rows == units.depth {
                let refused = refusal("naga", &[], &shader::compose_for(false, kernel, &variant));
                assert!(refused.is_none(), "{units:?}: {}", refused.unwrap_or_default());
            }
        }
    }
}

/// Where a device does not take such programs, that is found out, and nothing else comes of it.
#[test]
fn webgpu_tries_matrix_units_before_they_are_used() -> Result<()> {
    let Some(device) = device_with(Opening { plain: true, ..Opening::poisoned() }) else { return Ok(()) };
    assert!(!device.adapter().unwrap().matrices);
    assert!(!pollster::block_on(units(8, 8, 8, false).are_right(&backend(&device).gpu))?);
    assert_eq!(Tensor::new([2.0f32], &device)?.sqr()?.to_vec_sync::<f32>()?, [4.0]);
    Ok(())
}

#[test]
fn webgpu_picks_the_largest_matrices_of_f16() {
    let offered = [units(8, 8, 8, false), units(16, 8, 16, true), units(16, 16, 16, true), units(16, 16, 32, true)];
    let all = wgpu::Features::SHADER_F16;
    assert_eq!(Units::best(offered, all), Some(units(16, 16, 16, true)));
    assert_eq!(Units::best(offered, wgpu::Features::empty()), Some(units(8, 8, 8, false)));
    assert_eq!(Units::best([units(8, 8, 32, true)], all), None);
}

/// Numbers between -1 and 1 that follow no simple pattern.
fn wave(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * step).sin() * (i as f32 * 0.37 * step).cos()).collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Result<Tensor> {
    Tensor::from_slice(values, shape, &Device::cpu())
}

/// How far each result may be from what is right: rows are rounded to f16, weights too if they are not f16 already, each by 2^-11
/// of itself at most, and sums of f32 by 2^-24 for each addition; a little more for numbers that are small beside the largest of
/// their row.
fn allowed(x: &Tensor, w: &Tensor) -> Result<Vec<f32>> {
    let depth = *x.shape().dims().last().unwrap_or(&0) as f32;
    let (x, w) = (x.abs()?, w.to_dtype(DType::F32)?.abs()?);
    let relative = 2f32.powi(-10) + 2f32.powi(-22) + depth * 2f32.powi(-23);
    Ok(x.linear(&w, None)?.to_vec_sync::<f32>()?.iter().map(|sum| sum * relative).collect())
}

/// Asserts, and gives the largest error beside what is allowed.
fn compare(what: &str, found: &Tensor, wanted: &Tensor, allowed: &[f32]) -> Result<f32> {
    let (found, wanted) = (found.to_vec_sync::<f32>()?, wanted.to_vec_sync::<f32>()?);
    assert_eq!(found.len(), wanted.len());
    let mut worst = 0f32;
    for (i, ((a, b), most)) in found.iter().zip(&wanted).zip(allowed).enumerate() {
        assert!((a - b).abs() <= *most, "{what}: {a} at {i}, not {b}: more than {most} beside it");
        worst = worst.max((a - b).abs() / most.max(f32::MIN_POSITIVE));
    }
    Ok(worst)
}

/// Every format, sizes around those of tiles and slices, against the CPU's products of f32.
#[test]
fn webgpu_multiplies_by_matrix_units() -> Result<()> {
    let Some(device) = device() else { return Ok(()) };
    for format in FORMATS.into_iter().chain([DType::F32, DType::F16, DType::BF16]) {
        let block = format.block_len();
        for (m, n, k) in [(17, 70, 64usize), (64, 64, 32), (130, 40, 352), (33, 129, 1024)] {
            // Formats have whole blocks; floats any depth.
            let k = if block == 1 { k - 3 } else { k.next_multiple_of(block) };
            let w = tensor(&wave(n * k, 0.3), &[n, k])?.to_dtype(format)?;
            let x = tensor(&wave(2 * (m + 1) * k, 0.9), &[2, m + 1, k])?;
            let bias = tensor(&wave(n, 0.1), &[n])?;
            let residual = tensor(&wave(2 * m * n, 0.2), &[2, m, n])?;
            // A batch with other rows between.
            let rows = x.narrow(1, 1, m)?;
            let exact = rows.linear(&w.to_dtype(DType::F32)?, None)?;
            let most = allowed(&rows, &w)?;
            let there = x.moved_to(&device)?.narrow(1, 1, m)?;
            let w = w.moved_to(&device)?;
            let what = format!("{format} {m} x {n} x {k}");
            let mut worst = compare(&what, &there.linear(&w, None)?, &exact, &most)?;
            let found = there.linear(&w, Some(&bias.clone().moved_to(&device)?))?;
            worst = worst.max(compare(&what, &found, &exact.add(&bias)?, &most)?);
            let apply = crate::op::Op::LinearAdd;
            let found = Tensor::apply(apply, &[&there, &w, &residual.clone().moved_to(&device)?])?;
            worst = worst.max(compare(&what, &found, &exact.add(&residual)?, &most)?);
            println!("{what}: {worst} of what is allowed");
            // Sums of f32 alone would not show.
            assert!(worst > 1e-3, "{what}: {worst}: are these products of f16?");
        }
    }
    Ok(())
}

/// With fewer subgroups than pieces, as many, more, and a number that does not divide them: the same, to the last bit.
#[test]
fn webgpu_matrix_units_take_subgroups_of_any_size() -> Result<()> {
    let (m, n, k) = (70, 75, 100);
    let mut first = None;
    for largest_subgroup in [None, Some(2), Some(4), Some(6), Some(32)] {
        let tiles = Some(Tiles::Matrices);
        let Some(device) = device_of(Opening { tiles, largest_subgroup, ..Opening::poisoned() }) else { return Ok(()) };
        let x = tensor(&wave(m * k, 0.9), &[m, k])?.moved_to(&device)?;
        let w = tensor(&wave(n * k, 0.3), &[n, k])?.moved_to(&device)?;
        let found = x.linear(&w, None)?.to_vec_sync::<f32>()?;
        assert_eq!(&found, first.get_or_insert(found.clone()), "{largest_subgroup:?}");
    }
    Ok(())
}

/// What stands before and behind products, and weights side by side. Two roundings to f16 err by 4e-4 in the mean: over 512
/// products of 0.25 that adds up as a random walk, 2e-3, of which 6 standard deviations are allowed beside results of which the
/// largest is 2.5.
#[test]
fn webgpu_matrix_units_do_what_other_tiles_do() -> Result<()> {
    match device() {
        Some(_) => compared(Tiles::Matrices, &[DType::F16, DType::Q4_K, DType::Q8_0], 5e-3),
        None => Ok(()),
    }
}

/// Tiny models of several families, whose prompts are long enough: near what sums of f32 give.
#[test]
fn webgpu_models_run_by_matrix_units() -> Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let Some(plain) = device_with(Opening { tiles: Some(Tiles::Float), ..Opening::poisoned() }) else { return Ok(()) };
    let ids: Vec<u32> = (0..40).map(|i| i * 7 % 61 + 3).collect();
    for name in ["llama", "qwen3", "gemma3", "phi3", "falcon_7b"] {
        let [found, wanted] = [&device, &plain].map(|device| logits(&golden_model(name, device), &ids));
        let (found, wanted) = (found?, wanted?);
        let largest = wanted.iter().map(|v| v.abs()).fold(0.0, f32::max);
        let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {worst} beside {largest}");
        // Each of a few layers rounds to 2^-11, which is 5e-4, and norms keep what is small from growing large.
        assert!(worst <= 5e-3 * largest && worst > 0.0, "{name}: {worst} beside {largest}");
    }
    Ok(())
}

/// Rows beyond f16's range, rows of tiny numbers, of zeros, and of numbers that are not.
#[test]
fn webgpu_matrix_units_take_rows_of_any_size() -> Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let (m, n, k) = (24, 20, 96);
    let mut values = wave(m * k, 0.9);
    let scales = [1.0, 1e6, 1e30, 1e-6, 1e-30, 1e-37, 0.0];
    for (row, values) in values.chunks_mut(k).enumerate() {
        values.iter_mut().for_each(|v| *v *= scales[row % scales.len()]);
        // One that is large beside the others.
        values[7] *= 1000.0;
    }
    let weights = tensor(&wave(n * k, 0.3), &[n, k])?;
    let x = tensor(&values, &[m, k])?;
    let most = allowed(&x, &weights)?;
    // Numbers near the smallest may be taken for zero on the way.
    let most: Vec<_> = most.iter().map(|v| v + 1e-36).collect();
    let w = weights.clone().moved_to(&device)?;
    let found = x.clone().moved_to(&device)?.linear(&w, None)?;
    compare("rows of any size", &found, &x.linear(&weights, None)?, &most)?;
    (values[3], values[k + 5], values[2 * k]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
    let found = tensor(&values, &[m, k])?.moved_to(&device)?.linear(&w, None)?.to_vec_sync::<f32>()?;
    for (row, found) in found.chunks(n).enumerate() {
        assert!(found.iter().all(|v| v.is_finite() == (row > 2)), "row {row}: {found:?}");
    }
    Ok(())
}
