//! Against the `gguf` package and ggml: see tests/generators/quant.py.

use super::*;
use safetensors::SafeTensors;

/// All of them.
pub(crate) const FORMATS: [DType; 12] = [
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q8_0,
    DType::Q8_1,
    DType::Q2_K,
    DType::Q3_K,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
    DType::Q8_K,
];

fn golden() -> SafeTensors<'static> {
    SafeTensors::deserialize(include_bytes!("../../tests/golden/quant.safetensors")).unwrap()
}

fn bytes(name: &str) -> Vec<u8> {
    golden().tensor(name).unwrap().data().to_vec()
}

fn floats(name: &str) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(&bytes(name))
}

fn quantized(dtype: DType, values: &[f32]) -> Vec<u8> {
    let mut out = vec![0xa5; dtype.bytes_for(values.len()).unwrap()];
    quantize(dtype, values, &mut out).unwrap();
    out
}

fn dequantized(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![f32::NAN; bytes.len() / dtype.block_bytes() * dtype.block_len()];
    dequantize(dtype, bytes, &mut out).unwrap();
    out
}

/// Root mean square difference.
fn rms(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    (squares / a.len() as f64).sqrt()
}

#[test]
fn dequantization_is_bit_exact() {
    for dtype in FORMATS {
        let ours = dequantized(dtype, &bytes(&format!("{dtype}.blocks")));
        let reference = floats(&format!("{dtype}.values"));
        for (i, (a, b)) in ours.iter().zip(&reference).enumerate() {
            assert_eq!(a.to_bits(), b.to_bits(), "{dtype} value {i}: {a} is not {b}");
        }
        assert_eq!(ours.len(), reference.len());
    }
}

#[test]
fn quantization_without_search_is_bit_exact() {
    let values = floats("input");
    use DType::*;
    for dtype in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q8_K] {
        let (ours, reference) = (quantized(dtype, &values), bytes(&format!("{dtype}.quantized")));
        let wrong = ours.iter().zip(&reference).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "{dtype}: first wrong byte, in blocks of {}", dtype.block_bytes());
    }
}

/// The searches need not find the same scales, but must not lose more: at most 10 % more error than ggml's, over the
/// whole input and in each of its special parts.
#[test]
fn k_quantization_errs_no_more_than_ggml() {
    let values = floats("input");
    use DType::*;
    for dtype in [Q2_K, Q3_K, Q4_K, Q5_K, Q6_K] {
        let ours = dequantized(dtype, &quantized(dtype, &values));
        let reference = dequantized(dtype, &bytes(&format!("{dtype}.quantized")));
        for part in [0..256, 256..512, 512..768, 768..1024, 1024..4096] {
            let (a, b) = (&values[part.clone()], part.clone());
            let (our_error, reference_error) = (rms(a, &ours[b.clone()]), rms(a, &reference[b]));
            println!("{dtype} {part:?}: {our_error:.3e} against {reference_error:.3e}");
            assert!(our_error <= reference_error * 1.10 + 1e-9, "{dtype} {part:?}: {our_error} > {reference_error}");
        }
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let e = dequantize(DType::Q4_K, &[0; 100], &mut [0.0; 256]).unwrap_err().to_string();
    assert!(e.contains("256 values of q4_k are 144 bytes, not 100"), "{e}");
    let e = quantize(DType::Q8_0, &[0.0; 33], &mut [0; 34]).unwrap_err().to_string();
    assert!(e.contains("33 values do not fill whole blocks of 32 of q8_0"), "{e}");
    assert!(dequantize(DType::I32, &[0; 4], &mut [0.0]).is_err());
}

/// Any bytes are some weights, and any numbers some bytes: neither direction may panic.
#[test]
fn extreme_input_does_not_panic() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, -0.0, 1e-40, 65520.0];
    let values: Vec<f32> = (0..512).map(|i| odd[i * 7 % 8]).collect();
    for dtype in FORMATS {
        quantized(dtype, &values);
        quantized(dtype, &vec![1e-42; 512]);
        quantized(dtype, &vec![f32::MAX; 512]);
        dequantized(dtype, &vec![0xff; dtype.bytes_for(512).unwrap()]);
    }
}
