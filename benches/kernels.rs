//! Speed of the matrix kernels, one line of JSON for each: billions of operations a second (a multiply-add is two) of
//! the best of several runs, one thread.
//!
//!     VOTIVE_THREADS=1 cargo bench --bench kernels [-- FILTER]
//!
//! `cargo xtask bench --kernels` also compiles it to WebAssembly, and runs that in Chromium.
//!
//! `vector` is one token by 2048 rows of 2048 weights, `matrix` 128 tokens, as in decoding and in reading a prompt.

use votive::{
    DType,
    backend::cpu::{
        matmul::{Activations, Packed, linear_f32_on, linear_packed},
        simd::{
            Isa,
            peak::{self, Limit},
        },
    },
    quant,
};

mod host;

use host::{measure, random};

fn main() {
    let filter = host::wanted();
    let isa = Isa::best();
    limits(isa, &filter);
    let (n, k) = (2048, 2048);
    let (values, x) = (random(n * k), random(512 * k));
    let mut out = vec![0.0; 512 * n];
    for dtype in DType::ALL {
        let name = dtype.name();
        let is_weight = dtype.is_quantized() || matches!(dtype, DType::F32 | DType::F16 | DType::BF16);
        let Some(bytes) = dtype.bytes_for(n * k).filter(|_| is_weight && name.contains(&filter)) else { continue };
        let mut w = vec![0; bytes];
        // every value of one row, over and over: quantizing takes longer than measuring
        let row = bytes / n;
        if let Err(e) = quant::quantize(dtype, &values[..k], &mut w[..row]) {
            return host::say(&e.to_string());
        }
        for r in 1..n {
            w.copy_within(..row, r * row);
        }
        // fast and wrong is no speed: compare with the dequantized weights (a check for where tests do not run)
        let mut plain = vec![0.0; 64 * k];
        if let Err(e) = quant::dequantize(dtype, &w[..64 * row], &mut plain) {
            return host::say(&e.to_string());
        }
        let packed = match dtype.is_quantized().then(|| Packed::new(dtype, n, k, &w)).transpose() {
            Ok(packed) => packed,
            Err(e) => return host::say(&e.to_string()),
        };
        let product = |m: usize, n: usize, out: &mut [f32]| match &packed {
            Some(packed) => Activations::new(isa, &x[..m * k], k)
                .and_then(|x| linear_packed(&x, packed, 0, n, &mut out[..m * n], n)),
            None => linear_f32_on(isa, &x[..m * k], m, k, &w[..n * row], dtype, n, &mut out[..m * n]),
        };
        for m in [1, 9] {
            if let Err(e) = product(m, 64, &mut out) {
                return host::say(&e.to_string());
            }
            let dot = |i: usize| -> f32 { (0..k).map(|l| x[i / 64 * k + l] * plain[i % 64 * k + l]).sum() };
            let worst = (0..m * 64).map(|i| (out[i] - dot(i)).abs()).fold(0.0, f32::max);
            // 2048 products of about 0.16 with activations rounded by up to 1/254: 0.03 to 0.05 in all
            if worst > 0.15 {
                host::say(&format!("{name}: {isa} differs from the dequantized product by {worst}"));
            }
        }
        if packed.is_some() {
            let speed = measure(bytes as f64, || {
                if let Err(e) = Packed::new(dtype, n, k, &w) {
                    host::say(&e.to_string());
                }
            });
            host::say(&format!(r#"{{"kernel":"{name} packing","isa":"{isa}","gbytes":{speed:.2}}}"#));
        }
        for (kind, m) in [("vector", 1), ("few", 4), ("matrix", 128), ("matrix512", 512)] {
            let speed = measure(2.0 * (m * n) as f64 * k as f64, || {
                if let Err(e) = product(m, n, &mut out) {
                    host::say(&e.to_string());
                }
            });
            host::say(&format!(r#"{{"kernel":"{name} {kind}","isa":"{isa}","gops":{speed:.1}}}"#));
        }
    }
}

/// What the machine can do at most: what the kernels are to be compared with.
fn limits(isa: Isa, filter: &str) {
    let large = vec![1.0f32; 1 << 24];
    let mut sum = 0.0;
    for (name, limit, memory, operations) in [
        ("limit of f32", Limit::Floats, &large[..], 2),
        ("limit of i16", Limit::Integers, &large, 2),
        ("reading memory", Limit::Memory, &large, 1),
        ("reading cache", Limit::Memory, &large[..1 << 17], 1),
    ] {
        if !name.contains(filter) {
            continue;
        }
        let mut done = 0;
        match peak::round(isa, limit, memory, &mut sum) {
            Ok(count) => done = count * operations,
            Err(e) => host::say(&e.to_string()),
        }
        let speed = measure(done as f64, || {
            if let Err(e) = peak::round(isa, limit, memory, &mut sum) {
                host::say(&e.to_string());
            }
        });
        let unit = if limit == Limit::Memory { "gbytes" } else { "gops" };
        host::say(&format!(r#"{{"kernel":"{name}","isa":"{isa}","{unit}":{speed:.1}}}"#));
    }
    std::hint::black_box(sum);
}
