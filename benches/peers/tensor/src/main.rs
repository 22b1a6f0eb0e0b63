//! The same tensor operations in Votive, candle and burn, in one program and in turn: `cargo xtask bench --tensor` runs it, and
//! PyTorch beside it.
//!
//! Usage: tensor-peers [ROUNDS] [FILTER]. Writes one line of JSON for each measurement: milliseconds, the median of ROUNDS
//! batches. The number of threads is that of the environment (VOTIVE_THREADS, RAYON_NUM_THREADS). Results are compared first:
//! fast and wrong is no speed.

mod burn_engine;
mod candle_engine;
mod votive_engine;

use std::{sync::LazyLock, time::Instant};

/// What is measured.
#[derive(Clone, Copy)]
pub enum Case {
    /// `[batch, m, k] x [batch, k, n]`, or of matrices when there is one.
    Matmul(usize, usize, usize, usize),
    /// Along the rows of `[rows, columns]`.
    Softmax(usize, usize),
    /// Over the rows of `[rows, columns]`, with weight and bias.
    LayerNorm(usize, usize),
    /// `[n, c, size, size]` by `[o, c, 3, 3]`, padding 1.
    Conv2d(usize, usize, usize, usize),
    /// Forward, backward and AdamW of a perceptron of these layers, with ReLU and cross-entropy, for a batch.
    TrainingStep(usize, [usize; 4]),
}

/// Keep in step with torch_bench.py.
const CASES: [(&str, Case); 8] = [
    ("matmul 1024 x 1024 x 1024", Case::Matmul(1, 1024, 1024, 1024)),
    ("matmul 128 x 768 x 3072", Case::Matmul(1, 128, 768, 3072)),
    ("matmul 1 x 2048 x 2048", Case::Matmul(1, 1, 2048, 2048)),
    ("matmul 16 of 128 x 64 x 128", Case::Matmul(16, 128, 64, 128)),
    ("softmax 1024 x 1024", Case::Softmax(1024, 1024)),
    ("layer norm 1024 x 768", Case::LayerNorm(1024, 768)),
    ("conv2d 4 x 64 x 56 x 56 by 64 of 3 x 3", Case::Conv2d(4, 64, 56, 64)),
    ("training step, 128 of 784-512-512-10", Case::TrainingStep(128, [784, 512, 512, 10])),
];

/// Something that is measured: runs once; gives the numbers of the result when asked.
pub type Run = Box<dyn FnMut(bool) -> Vec<f32>>;
type Engine = (&'static str, fn(Case) -> Run);

const ENGINES: [Engine; 3] =
    [("votive", votive_engine::run), ("candle", candle_engine::run), ("burn", burn_engine::run)];

/// Reproducible numbers between -1 and 1.
pub fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The weight `[outputs, inputs]` of layer `i`.
pub fn layer(i: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let bound = 1.0 / (inputs as f32).sqrt();
    random(inputs * outputs, 10 + i as u32).into_iter().map(|v| v * bound).collect()
}

/// The classes of a batch.
pub fn classes(batch: usize, classes: usize) -> Vec<u32> {
    (0..batch as u32).map(|i| i * 7 % classes as u32).collect()
}

fn compare(case: &str, engine: &str, found: &[f32], wanted: &[f32]) {
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 2e-3 * b.abs().max(1.0);
    if found.len() != wanted.len() || !found.iter().zip(wanted).all(close) {
        eprintln!("{case}: {engine} does not give what {} gives", ENGINES[0].0);
        std::process::exit(1);
    }
}

/// Seconds: of processor time with one thread, so that other work on the machine does not count, else of the clock.
fn now() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    #[cfg(unix)]
    if std::env::var("VOTIVE_THREADS").is_ok_and(|threads| threads == "1") {
        let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock is written to a place that is ours.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut used) };
        return used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    }
    START.elapsed().as_secs_f64()
}

/// Seconds of each of `runs` runs.
fn time(run: &mut Run, runs: u32) -> f64 {
    let start = now();
    for _ in 0..runs {
        std::hint::black_box(run(false));
    }
    (now() - start) / f64::from(runs)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(15);
    let filter = arguments.next().unwrap_or_default();
    for (name, case) in CASES.into_iter().filter(|(name, _)| name.contains(&filter)) {
        let mut engines: Vec<(&str, Run)> = ENGINES.iter().map(|(engine, make)| (*engine, make(case))).collect();
        let wanted = engines[0].1(true);
        for (engine, run) in &mut engines[1..] {
            let found = run(true);
            compare(name, engine, &found, &wanted);
        }
        // Batches of about 30 ms, all engines in turn, so that other work on the machine meets them alike.
        let runs: Vec<u32> =
            engines.iter_mut().map(|(_, run)| (0.03 / time(run, 3).max(1e-7)).ceil().clamp(1.0, 1e4) as u32).collect();
        let mut times = vec![Vec::new(); engines.len()];
        for _ in 0..rounds {
            for (((_, run), runs), times) in engines.iter_mut().zip(&runs).zip(&mut times) {
                times.push(time(run, *runs));
            }
        }
        for ((engine, _), mut times) in engines.into_iter().zip(times) {
            times.sort_by(f64::total_cmp);
            let ms = times[times.len() / 2] * 1e3;
            println!(r#"{{"case":"{name}","engine":"{engine}","ms":{ms:.5}}}"#);
        }
    }
}
