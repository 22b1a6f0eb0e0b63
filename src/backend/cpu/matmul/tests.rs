//! Every dtype, shape and instruction set against products in f64.

use super::*;
use crate::{
    backend::cpu::simd::{ACT_MAX, Isa},
    dtype::DType,
    quant::{self, tests::FORMATS},
};

/// Reproducible numbers, roughly bell-shaped, about 1 in size.
fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| 1.7 * (uniform() + uniform() + uniform() + uniform())).collect()
}

/// Bytes of random weights of `dtype`, and the values they stand for.
fn weights(dtype: DType, n: usize, k: usize) -> (Vec<u8>, Vec<f32>) {
    let mut bytes = vec![0; dtype.bytes_for(n * k).unwrap()];
    quant::quantize(dtype, &random(n * k, 7), &mut bytes).unwrap();
    let mut values = vec![0.0; n * k];
    quant::dequantize(dtype, &bytes, &mut values).unwrap();
    (bytes, values)
}

/// For each result: x · wᵀ in f64, and the sum of the products' magnitudes.
fn reference(x: &[f32], w: &[f32], k: usize) -> Vec<(f64, f64)> {
    let dot = |x: &[f32], w: &[f32]| {
        x.iter().zip(w).fold((0.0, 0.0), |(sum, size), (&x, &w)| {
            let p = f64::from(x) * f64::from(w);
            (sum + p, size + p.abs())
        })
    };
    x.chunks_exact(k).flat_map(|x| w.chunks_exact(k).map(move |w| dot(x, w))).collect()
}

/// `x` as the kernels see it: each 32 values rounded to 2 * `ACT_MAX` steps.
fn rounded(x: &[f32]) -> Vec<f32> {
    let group = |x: &[f32]| {
        let scale = x.iter().fold(0.0, |m: f32, v| m.max(v.abs())) / f32::from(ACT_MAX);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        x.iter().map(|v| (v * inverse).round_ties_even() * scale).collect::<Vec<_>>()
    };
    x.chunks_exact(32).flat_map(group).collect()
}

/// Against a product with the same rounded activations, only the rounding of f32 sums remains: 3e-6 of the magnitude,
/// with the unsigned formats' correction (`-8 d` times the sum) making it up to eight times as large.
#[test]
fn quantized_products_are_exact_up_to_f32_sums() {
    for dtype in FORMATS {
        // 10 groups: a whole chunk and a part of one
        let k = if dtype.block_len() == 32 { 320 } else { 768 };
        let n = 37;
        let (bytes, values) = weights(dtype, n, k);
        for m in [1, 3, 17, 129] {
            let x = random(m * k, m as u64);
            let expected = reference(&rounded(&x), &values, k);
            for &isa in Isa::available() {
                let (mut out, mut again) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
                linear_f32_on(isa, &x, m, k, &bytes, dtype, n, &mut out).unwrap();
                for (i, (out, (sum, size))) in out.iter().zip(&expected).enumerate() {
                    let error = (f64::from(*out) - sum).abs();
                    assert!(error <= 2.4e-5 * size, "{dtype} {isa} m {m} at {i}: {out} is not {sum} (size {size})");
                }
                let packed = Packed::new(dtype, n, k, &bytes).unwrap();
                linear_packed(&Activations::new(isa, &x, k).unwrap(), &packed, 0, n, &mut again, n).unwrap();
                assert_eq!(out, again, "{dtype} {isa} packed before");
            }
        }
    }
}

/// Against the exact product: each activation is off by at most half a step, 1/16382 of the largest of its 32.
#[test]
fn quantized_products_err_by_the_rounding_of_activations_only() {
    let (m, k, n) = (9, 512, 21);
    let x = random(m * k, 3);
    for dtype in FORMATS {
        let (bytes, values) = weights(dtype, n, k);
        let mut out = vec![f32::NAN; m * n];
        linear_f32(&x, m, k, &bytes, dtype, n, &mut out).unwrap();
        let exact = reference(&x, &values, k);
        let (mut squares, mut scale) = (0.0, 0.0);
        for t in 0..m {
            for r in 0..n {
                let (sum, size) = exact[t * n + r];
                let groups = x[t * k..][..k].chunks_exact(32).zip(values[r * k..][..k].chunks_exact(32));
                let bound: f64 = groups
                    .map(|(x, w)| {
                        let largest = x.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
                        let weights: f64 = w.iter().map(|w| f64::from(w.abs())).sum();
                        f64::from(largest) / (2.0 * f64::from(ACT_MAX)) * weights
                    })
                    .sum();
                let error = f64::from(out[t * n + r]) - sum;
                assert!(error.abs() <= bound + 2.4e-5 * size, "{dtype} [{t}, {r}]: {error} > {bound}");
                squares += error * error;
                scale += sum * sum;
            }
        }
        // rounding errors are independent, so they average out: about 0.008 % of the result's size
        assert!((squares / scale).sqrt() < 2e-4, "{dtype}: {}", (squares / scale).sqrt());
    }
}

/// Bytes that are not the output of a quantizer: all scales, minimums and integers, of either sign.
#[test]
fn any_bytes_are_weights() {
    let (m, k, n) = (7, 512, 5);
    let x = random(m * k, 11);
    for dtype in FORMATS {
        let mut bytes: Vec<u8> =
            random(dtype.bytes_for(n * k).unwrap(), 13).iter().map(|v| (v * 1000.0) as i32 as u8).collect();
        // no f16 (or f32, of Q8_K) of all exponent bits: make those bytes smaller
        bytes.iter_mut().for_each(|b| *b = if *b & 0x7c == 0x7c { *b & !0x40 } else { *b });
        let mut values = vec![0.0; n * k];
        quant::dequantize(dtype, &bytes, &mut values).unwrap();
        if dtype == DType::Q8_K {
            continue; // random f32 scales span 70 powers of ten: sums of them say nothing
        }
        let expected = reference(&rounded(&x), &values, k);
        for rows in [1, m] {
            for &isa in Isa::available() {
                let mut out = vec![f32::NAN; rows * n];
                linear_f32_on(isa, &x[..rows * k], rows, k, &bytes, dtype, n, &mut out).unwrap();
                for (i, (out, (sum, size))) in out.iter().zip(&expected).enumerate() {
                    let error = (f64::from(*out) - sum).abs();
                    assert!(error <= 1e-4 * size, "{dtype} {isa} rows {rows} at {i}: {out} is not {sum} ({size})");
                }
            }
        }
    }
}

/// Whatever the bytes are, packing loses none of them, and a part of the rows gives that part of the product.
#[test]
fn packing_keeps_every_byte() {
    for dtype in FORMATS {
        for (n, k) in [(1, 256), (13, 512), (24, 768)] {
            let random = random(dtype.bytes_for(n * k).unwrap(), 17);
            let bytes: Vec<u8> = random.iter().map(|v| (v * 1000.0) as i32 as u8).collect();
            let packed = Packed::new(dtype, n, k, &bytes).unwrap();
            assert_eq!(packed.rows(0..n).unwrap().bytes(), bytes, "{dtype} [{n}, {k}]");
            let row = bytes.len() / n;
            assert_eq!(packed.rows(n / 2..n).unwrap().bytes(), &bytes[n / 2 * row..], "{dtype} [{n}, {k}]");
            assert!(packed.rows(0..n + 1).is_err());
            for piece in [1, 100, row, row * 8, row * 8 + 3] {
                let mut packing = Packing::new(dtype, n, k).unwrap();
                bytes.chunks(piece).for_each(|part| packing.write(part).unwrap());
                assert!(packing.write(&[0]).is_err());
                let again = packing.finish().unwrap().rows(0..n).unwrap();
                assert_eq!(again.bytes(), bytes, "{dtype} [{n}, {k}] in pieces of {piece}");
            }
            let mut packing = Packing::new(dtype, n, k).unwrap();
            packing.write(&bytes[1..]).unwrap();
            assert!(packing.finish().is_err());
        }
    }
    let (bytes, _) = weights(DType::Q4_K, 24, 256);
    let packed = Packed::new(DType::Q4_K, 24, 256, &bytes).unwrap();
    let x = Activations::new(Isa::best(), &random(256, 3), 256).unwrap();
    let (mut all, mut part) = ([0.0; 24], [0.0; 10]);
    linear_packed(&x, &packed, 0, 24, &mut all, 24).unwrap();
    linear_packed(&x, &packed, 8, 10, &mut part, 10).unwrap();
    assert_eq!(all[8..18], part);
    let two = Activations::new(Isa::best(), &random(512, 5), 256).unwrap();
    let mut apart = [0.0; 40];
    linear_packed(&two, &packed, 0, 10, &mut apart[5..], 20).unwrap();
    assert!(apart[15..25].iter().chain(&apart[..5]).chain(&apart[35..]).all(|&v| v == 0.0), "between the rows");
    let mut both = [0.0; 48];
    linear_packed(&two, &packed, 0, 24, &mut both, 24).unwrap();
    assert_eq!((&apart[5..15], &apart[25..35]), (&both[..10], &both[24..34]));
    for (len, stride) in [(29, 20), (40, 9), (40, usize::MAX)] {
        assert!(linear_packed(&two, &packed, 0, 10, &mut apart[..len], stride).is_err(), "{len} {stride}");
    }
    assert!(linear_packed(&x, &packed, 7, 10, &mut part, 10).is_err());
    assert!(linear_packed(&x, &packed, 16, 10, &mut part, 10).is_err());
    assert!(Packed::new(DType::Q4_K, 24, 255, &bytes).is_err());
    assert!(Packed::new(DType::F32, 1, 1, &[0; 4]).is_err());
}

#[test]
fn float_weights() {
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        for (k, n) in [(1, 1), (7, 3), (64, 37), (301, 50)] {
            let (bytes, values) = weights(dtype, n, k);
            for m in [1, 3, 4, 17] {
                let x = random(m * k, 5);
                for &isa in Isa::available() {
                    let mut out = vec![f32::NAN; m * n];
                    linear_f32_on(isa, &x, m, k, &bytes, dtype, n, &mut out).unwrap();
                    for (out, (sum, size)) in out.iter().zip(reference(&x, &values, k)) {
                        let error = (f64::from(*out) - sum).abs();
                        assert!(error <= 1e-6 * size + 1e-30, "{dtype} {isa} [{m}, {k}] x [{n}, {k}]: {out}, {sum}");
                    }
                }
            }
        }
    }
}

#[test]
fn strided_gemm() {
    for (m, k, n) in [(1, 5, 9), (2, 64, 70), (3, 33, 40), (5, 300, 33), (64, 40, 64), (70, 257, 19), (210, 300, 290)] {
        for transpose_a in [false, true] {
            for transpose_b in [false, true] {
                let (x, y) = (random(m * k, 1), random(n * k, 2));
                // rows of the reference are rows of a and columns of b
                let a: Vec<f32> = if transpose_a { transposed(&x, m, k) } else { x.clone() };
                let b: Vec<f32> = if transpose_b { y.clone() } else { transposed(&y, n, k) };
                let a_strides = if transpose_a { (1, m) } else { (k, 1) };
                let b_strides = if transpose_b { (1, k) } else { (n, 1) };
                for &isa in Isa::available() {
                    let mut c = vec![f32::NAN; m * n];
                    gemm_f32_on(isa, &a, a_strides, &b, b_strides, &mut c, m, k, n).unwrap();
                    for (c, (sum, size)) in c.iter().zip(reference(&x, &y, k)) {
                        let error = (f64::from(*c) - sum).abs();
                        assert!(error <= 1e-6 * size, "{isa} [{m}, {k}] x [{k}, {n}] {transpose_a} {transpose_b}");
                    }
                }
            }
        }
    }
    // broadcast (stride 0), and gaps between elements
    let (a, b) = (random(40, 3), random(200, 4));
    let mut c = vec![0.0; 6 * 7];
    gemm_f32(&a, (0, 2), &b, (20, 2), &mut c, 6, 9, 7).unwrap();
    for (i, c) in c.iter().enumerate() {
        let sum: f32 = (0..9).map(|l| a[l * 2] * b[l * 20 + i % 7 * 2]).sum();
        assert!((c - sum).abs() < 1e-4, "{c} {sum}");
    }
}

fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect()
}

#[test]
fn empty_and_wrong_sizes() {
    let mut out = [1.0; 6];
    linear_f32(&[], 2, 0, &[], DType::Q8_0, 3, &mut out).unwrap();
    assert_eq!(out, [0.0; 6]);
    linear_f32(&[], 0, 32, &[0; 34], DType::Q8_0, 1, &mut []).unwrap();
    let e = linear_f32(&[0.0; 33], 1, 33, &[0; 34], DType::Q8_0, 1, &mut out[..1]).unwrap_err().to_string();
    assert!(e.contains("rows of 33 values do not fill whole blocks of 32 of q8_0"), "{e}");
    let e = linear_f32(&[0.0; 32], 1, 32, &[0; 33], DType::Q8_0, 1, &mut out[..1]).unwrap_err().to_string();
    assert!(e.contains("weight of 33 bytes of q8_0"), "{e}");
    assert!(linear_f32(&[0.0], 1, 1, &[0; 4], DType::I32, 1, &mut out[..1]).is_err());
    let e = gemm_f32(&[0.0; 6], (3, 1), &[0.0; 5], (2, 1), &mut out[..4], 2, 3, 2).unwrap_err().to_string();
    assert!(e.contains("b of shape [3, 2]"), "{e}");
    assert!(gemm_f32(&[0.0; 6], (usize::MAX, 1), &[0.0; 6], (2, 1), &mut out[..4], 2, 3, 2).is_err());
}

/// Not a number and infinity in the input must not come out as ordinary numbers.
#[test]
fn not_a_number_stays_visible() {
    let (bytes, _) = weights(DType::Q4_0, 3, 64);
    for bad in [f32::NAN, f32::INFINITY] {
        for m in [1, 8] {
            let mut x = random(m * 64, 1);
            x[40] = bad;
            let mut out = vec![0.0; m * 3];
            linear_f32(&x, m, 64, &bytes, DType::Q4_0, 3, &mut out).unwrap();
            assert!(out[..3].iter().all(|v| !v.is_finite()), "{out:?}");
            assert!(out[3..].iter().all(|v| v.is_finite()), "{out:?}");
        }
    }
}
