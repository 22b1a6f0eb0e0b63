//! Speed of operations on tensors of floats, one line of JSON for each: 10⁹ elements or operations (a multiply-add is two) a
//! second, one thread.
//!
//!     VOTIVE_THREADS=1 cargo bench --bench operations [-- FILTER]
//!
//! `cargo xtask bench --kernels` also compiles it to WebAssembly, and runs that in Chromium.

mod host;

use host::{measure, random};
use votive::{
    DType, Device, Result, Tensor,
    backend::cpu::simd::Isa,
    tensor::{AttentionOptions, ConvOptions, Padding},
};

fn main() {
    if let Err(e) = run() {
        host::say(&e.to_string());
    }
}

/// Measures `f`, a call of which is so many operations, if its name has the filter in it.
fn report(name: &str, unit: &str, operations: u64, f: &dyn Fn() -> Result<Tensor>) -> Result<()> {
    if !name.contains(&host::wanted()) {
        return Ok(());
    }
    f()?;
    let speed = measure(operations as f64, || {
        if let Err(e) = f() {
            host::say(&e.to_string());
        }
    });
    let speed = if unit == "melem" { 1000.0 * speed } else { speed };
    host::say(&format!(r#"{{"kernel":"{name}","isa":"{}","{unit}":{speed:.1}}}"#, Isa::best()));
    Ok(())
}

fn run() -> Result<()> {
    let cpu = Device::cpu();
    let tensor = |dims: &[usize]| Tensor::from_slice(&random(dims.iter().product()), dims.to_vec(), &cpu);
    let (m, k, n) = (512usize, 2048, 2048);
    let (a, b) = (tensor(&[m, k])?, tensor(&[k, n])?);
    let (elements, product) = ((m * k) as u64, 2 * (k * n) as u64);
    report("f32 gemm", "gflops", m as u64 * product, &|| a.matmul(&b))?;
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let w = b.to_dtype(dtype)?;
        report(&format!("{} weights 512 rows", dtype.name()), "gflops", m as u64 * product, &|| a.linear(&w, None))?;
        let one = a.narrow(0, 0, 1)?;
        report(&format!("{} weights 1 row", dtype.name()), "gflops", product, &|| one.linear(&w, None))?;
    }
    report("softmax", "melem", elements, &|| a.softmax(-1))?;
    report("gelu", "melem", elements, &|| a.gelu())?;
    report("gelu_tanh", "melem", elements, &|| a.gelu_tanh())?;
    report("silu", "melem", elements, &|| a.silu())?;
    report("tanh", "melem", elements, &|| a.tanh())?;
    report("exp", "melem", elements, &|| a.exp())?;
    let weight = tensor(&[k])?;
    report("rms_norm", "melem", elements, &|| a.rms_norm(&weight, 1e-5))?;
    report("layer_norm", "melem", elements, &|| a.layer_norm(&weight, Some(&weight), 1e-5))?;
    report("add", "melem", elements, &|| a.add(&a))?;

    // SmolLM2's attention: 9 heads, 3 of keys, of 64.
    let options = AttentionOptions { scale: 0.125, causal: true, window: None, softcap: None };
    for (name, t, s) in
        [("attention decode 512", 1, 512), ("attention prefill 128", 128, 128), ("attention prefill 512", 512, 512)]
    {
        let (q, k, v) = (tensor(&[1, 9, t, 64])?, tensor(&[1, 3, s, 64])?, tensor(&[1, 3, s, 64])?);
        let pairs = (if t == 1 { s } else { t * (t + 1) / 2 }) as u64;
        report(name, "gflops", 9 * pairs * 64 * 4, &|| q.attention(&k, &v, None, options))?;
    }
    let (x, w) = (tensor(&[1, 64, 56, 56])?, tensor(&[64, 64, 3, 3])?);
    let options = ConvOptions { padding: Padding::Same, ..Default::default() };
    report("conv2d", "gflops", 2 * 64 * 64 * 9 * 56 * 56, &|| x.conv2d(&w, None, &options))?;
    Ok(())
}
