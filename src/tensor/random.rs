//! Random numbers that are the same on every platform: a counter-based generator, so that element `i` of a tensor needs
//! none of the elements before it.

use super::Tensor;
use crate::{
    backend::cpu::Buffer,
    device::Device,
    dtype::DType,
    error::{Error, Result},
    op::Op,
    shape::Shape,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where random numbers come from: a seed, and how many tensors have been drawn since.
///
/// Philox 4x32 with 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Words `4b` to `4b + 3`
/// of draw `n` are the block of the counter `(b mod 2³², b / 2³², n mod 2³², n / 2³²)` under the key
/// `(seed mod 2³², seed / 2³²)`. The same seed and order of draws give the same tensors on every device and platform.
///
/// ```
/// use votive::{DType, Device, Generator, Tensor};
/// let draw = |seed| Tensor::randn([2, 3], DType::F32, &Device::cpu(), &Generator::new(seed))?.to_vec_sync::<f32>();
/// assert_eq!(draw(7)?, draw(7)?);
/// assert_ne!(draw(7)?, draw(8)?);
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Debug)]
pub struct Generator {
    seed: AtomicU64,
    draws: AtomicU64,
}

/// Seeds [`Generator::global`], as PyTorch's `torch.manual_seed`.
///
/// ```
/// use votive::{DType, Device, Generator, Tensor, manual_seed};
/// manual_seed(42);
/// let x = Tensor::rand([8], DType::F32, &Device::cpu(), Generator::global())?;
/// assert!(x.to_vec_sync::<f32>()?.iter().all(|v| (0.0..1.0).contains(v)));
/// # Ok::<(), votive::Error>(())
/// ```
pub fn manual_seed(seed: u64) {
    Generator::global().manual_seed(seed);
}

impl Generator {
    /// A generator of its own.
    ///
    /// ```
    /// # use votive::{Device, Generator, Tensor};
    /// let (a, b) = (Generator::new(7), Generator::new(7));
    /// let [x, y] = [&a, &b].map(|generator| Tensor::randperm(9, &Device::cpu(), generator));
    /// assert_eq!(x?.to_vec_sync::<u32>()?, y?.to_vec_sync::<u32>()?);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub const fn new(seed: u64) -> Self {
        Self { seed: AtomicU64::new(seed), draws: AtomicU64::new(0) }
    }
    /// The generator of the whole program, seeded with 0 until [`manual_seed`]. Threads that draw from it at the same time
    /// get numbers in an order that differs from run to run: give each its own.
    ///
    /// ```
    /// # use votive::{DType, Device, Generator, Tensor};
    /// let x = Tensor::rand([2, 3], DType::F32, &Device::cpu(), Generator::global())?;
    /// assert_eq!(x.dims(), [2, 3]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn global() -> &'static Generator {
        static GLOBAL: Generator = Generator::new(0);
        &GLOBAL
    }
    /// Begins anew with a seed.
    ///
    /// ```
    /// # use votive::{Device, Generator, Tensor};
    /// let generator = Generator::new(7);
    /// let first = Tensor::randperm(9, &Device::cpu(), &generator)?.to_vec_sync::<u32>()?;
    /// generator.manual_seed(7);
    /// assert_eq!(Tensor::randperm(9, &Device::cpu(), &generator)?.to_vec_sync::<u32>()?, first);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn manual_seed(&self, seed: u64) {
        self.set_state((seed, 0));
    }
    /// Seed and number of draws: what [`Generator::set_state`] continues from.
    ///
    /// ```
    /// # use votive::{DType, Device, Generator, Tensor};
    /// let generator = Generator::new(7);
    /// assert_eq!(generator.state(), (7, 0));
    /// Tensor::rand([2, 3], DType::F32, &Device::cpu(), &generator)?;
    /// assert_eq!(generator.state(), (7, 1));
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn state(&self) -> (u64, u64) {
        (self.seed.load(Ordering::Relaxed), self.draws.load(Ordering::Relaxed))
    }
    /// Continues as the generator whose state this was.
    ///
    /// ```
    /// # use votive::Generator;
    /// let generator = Generator::new(7);
    /// generator.set_state((5, 3));
    /// assert_eq!(generator.state(), (5, 3));
    /// ```
    pub fn set_state(&self, (seed, draws): (u64, u64)) {
        self.seed.store(seed, Ordering::Relaxed);
        self.draws.store(draws, Ordering::Relaxed);
    }
    /// The words of the next draw.
    fn draw(&self) -> Draw {
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        Draw { key: halves(self.seed.load(Ordering::Relaxed)), draw: halves(draw) }
    }
}

fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// The words of one tensor.
struct Draw {
    key: [u32; 2],
    draw: [u32; 2],
}

impl Draw {
    fn block(&self, index: u64) -> [u32; 4] {
        let ([low, high], [n_low, n_high]) = (halves(index), self.draw);
        philox(self.key, [low, high, n_low, n_high])
    }
    /// `f(words, elements)` for each `N` elements that are made from one block.
    fn fill<T, const N: usize>(&self, out: &mut [T], f: impl Fn([u32; 4]) -> [T; N]) {
        for (i, chunk) in out.chunks_mut(N).enumerate() {
            chunk.iter_mut().zip(f(self.block(i as u64))).for_each(|(o, v)| *o = v);
        }
    }
}

/// Philox 4x32-10.
fn philox(mut key: [u32; 2], mut x: [u32; 4]) -> [u32; 4] {
    for _ in 0..10 {
        let a = halves(u64::from(x[0]) * 0xD251_1F53);
        let b = halves(u64::from(x[2]) * 0xCD9E_8D57);
        x = [b[1] ^ x[1] ^ key[0], b[0], a[1] ^ x[3] ^ key[1], a[0]];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    x
}

/// Two words as one.
fn wide(low: u32, high: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}

/// 53 bits as a number in `0..1`.
fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1u64 << 53) as f64
}

/// Two independent normal numbers from two uniform ones, the first of which is not 0 (Box & Muller 1958).
fn normal(u: f64, v: f64) -> [f64; 2] {
    let (radius, angle) = ((-2.0 * u.ln()).sqrt(), std::f64::consts::TAU * v);
    [radius * angle.cos(), radius * angle.sin()]
}

fn want_float(op: &'static str, dtype: DType) -> Result<()> {
    if dtype.is_float() {
        return Ok(());
    }
    Err(Error::dtype(op, format!("makes floats, not {dtype}; cast with to_dtype, or use randint")))
}

/// Zeroed memory for as many `T` as the shape has.
fn space<T>(op: &'static str, shape: &Shape) -> Result<Buffer> {
    let bytes = shape.checked_elements().and_then(|n| n.checked_mul(size_of::<T>()));
    Buffer::zeroed(bytes.ok_or_else(|| Error::shape(op, format!("no tensor has the shape {shape}")))?)
}

/// Random tensors, drawn from an explicit generator ([`Generator::global`] is one).
impl Tensor {
    /// Uniform in `0 <= x < 1`. f64 has 53 random bits, f32 24, f16 11 and bf16 8, so that rounding never gives 1.
    ///
    /// ```
    /// # use votive::{DType, Device, Generator, Tensor};
    /// let x = Tensor::rand([2, 3], DType::F32, &Device::cpu(), &Generator::new(7))?;
    /// assert!(x.to_vec_sync::<f32>()?.iter().all(|v| (0.0..1.0).contains(v)));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the dtype is not a float or memory is short.
    pub fn rand(shape: impl Into<Shape>, dtype: DType, device: &Device, generator: &Generator) -> Result<Self> {
        want_float("rand", dtype)?;
        let (shape, draw) = (shape.into(), generator.draw());
        if dtype == DType::F64 {
            let mut bytes = space::<f64>("rand", &shape)?;
            draw.fill(bytes.as_slice_mut::<f64>()?, |[a, b, c, d]| [wide(a, b), wide(c, d)].map(unit));
            return Self::from_buffer(bytes, dtype, shape, device);
        }
        let bits = match dtype {
            DType::F16 => 11,
            DType::BF16 => 8,
            _ => 24,
        };
        let mut bytes = space::<f32>("rand", &shape)?;
        draw.fill(bytes.as_slice_mut::<f32>()?, |words| {
            words.map(|w| (w >> (32 - bits)) as f32 / (1u32 << bits) as f32)
        });
        Self::from_buffer(bytes, DType::F32, shape, device)?.to_dtype(dtype)
    }
    /// Normally distributed with mean 0 and variance 1, by the Box-Muller transform of pairs of words.
    ///
    /// ```
    /// # use votive::{DType, Device, Generator, Tensor};
    /// let x = Tensor::randn([10_000], DType::F64, &Device::cpu(), &Generator::new(7))?;
    /// assert!(x.mean(..)?.item_sync()?.abs() < 0.05 && (x.std(.., 1.0)?.item_sync()? - 1.0).abs() < 0.05);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::rand`].
    pub fn randn(shape: impl Into<Shape>, dtype: DType, device: &Device, generator: &Generator) -> Result<Self> {
        want_float("randn", dtype)?;
        let (shape, draw) = (shape.into(), generator.draw());
        if dtype == DType::F64 {
            let mut bytes = space::<f64>("randn", &shape)?;
            draw.fill(bytes.as_slice_mut::<f64>()?, |[a, b, c, d]| normal(1.0 - unit(wide(a, b)), unit(wide(c, d))));
            return Self::from_buffer(bytes, dtype, shape, device);
        }
        let mut bytes = space::<f32>("randn", &shape)?;
        draw.fill(bytes.as_slice_mut::<f32>()?, |words| {
            let [a, b, c, d] = words.map(|w| f64::from(w) / 4_294_967_296.0);
            let ([a, b], [c, d]) = (normal(1.0 - a, b), normal(1.0 - c, d));
            [a, b, c, d].map(|v| v as f32)
        });
        Self::from_buffer(bytes, DType::F32, shape, device)?.to_dtype(dtype)
    }
    /// Uniform integers in `low <= x < high`, as any plain dtype. The probabilities of two values differ by less than 2⁻⁶⁴
    /// times the number of values.
    ///
    /// ```
    /// use votive::{DType, Device, Generator, Tensor};
    /// let dice = Tensor::randint(1, 7, [100], DType::U8, &Device::cpu(), &Generator::new(0))?;
    /// assert!(dice.to_vec_sync::<u8>()?.iter().all(|v| (1..=6).contains(v)));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `high` is not above `low` or memory is short.
    pub fn randint(
        low: i64,
        high: i64,
        shape: impl Into<Shape>,
        dtype: DType,
        device: &Device,
        generator: &Generator,
    ) -> Result<Self> {
        if low >= high {
            return Err(Error::argument("randint", format!("there is no integer from {low} to below {high}")));
        }
        let (shape, draw) = (shape.into(), generator.draw());
        let range = u128::from(high.abs_diff(low));
        let mut bytes = space::<i64>("randint", &shape)?;
        let value = |word: u64| low.wrapping_add(((u128::from(word) * range) >> 64) as i64);
        draw.fill(bytes.as_slice_mut::<i64>()?, |[a, b, c, d]| [wide(a, b), wide(c, d)].map(value));
        Self::from_buffer(bytes, DType::I64, shape, device)?.to_dtype(dtype)
    }
    /// The integers `0..n` in random order, as u32: the order of random 63-bit keys.
    ///
    /// ```
    /// use votive::{Device, Generator, Tensor};
    /// let mut order = Tensor::randperm(5, &Device::cpu(), &Generator::new(3))?.to_vec_sync::<u32>()?;
    /// order.sort();
    /// assert_eq!(order, [0, 1, 2, 3, 4]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When memory is short.
    pub fn randperm(n: usize, device: &Device, generator: &Generator) -> Result<Self> {
        Self::randint(0, i64::MAX, n, DType::I64, device, generator)?.argsort(0, false)
    }
    /// [`Tensor::rand`] in the shape, dtype and device of this tensor.
    ///
    /// ```
    /// # use votive::{DType, Device, Generator, Tensor};
    /// let x = Tensor::zeros([2, 3], DType::F64, &Device::cpu())?.rand_like(&Generator::new(7))?;
    /// assert_eq!((x.dims(), x.dtype()), (&[2, 3][..], DType::F64));
    /// assert!(x.to_vec_sync::<f64>()?.iter().all(|v| (0.0..1.0).contains(v)));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::rand`].
    pub fn rand_like(&self, generator: &Generator) -> Result<Self> {
        Self::rand(self.shape(), self.dtype(), self.device(), generator)
    }
    /// [`Tensor::randn`] in the shape, dtype and device of this tensor.
    ///
    /// ```
    /// # use votive::{DType, Device, Generator, Tensor};
    /// let x = Tensor::zeros([10_000], DType::F64, &Device::cpu())?.randn_like(&Generator::new(7))?;
    /// assert!(x.mean(..)?.item_sync()?.abs() < 0.05 && (x.std(.., 1.0)?.item_sync()? - 1.0).abs() < 0.05);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::rand`].
    pub fn randn_like(&self, generator: &Generator) -> Result<Self> {
        Self::randn(self.shape(), self.dtype(), self.device(), generator)
    }
    /// 1 with the probability that each element of this float tensor gives, else 0; in its dtype. Not differentiable: the
    /// result is not tracked.
    ///
    /// ```
    /// # use votive::{Device, Generator, Tensor};
    /// let chances = Tensor::new([0f32, 1.0, 1.0, 0.0], &Device::cpu())?;
    /// assert_eq!(chances.bernoulli(&Generator::new(7))?.to_vec_sync::<f32>()?, [0.0, 1.0, 1.0, 0.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When this is not a float tensor.
    pub fn bernoulli(&self, generator: &Generator) -> Result<Self> {
        want_float("bernoulli", self.dtype())?;
        let chance = Self::rand(self.shape(), DType::F32, self.device(), generator)?;
        chance.lt(&self.detach().to_dtype(DType::F32)?)?.to_dtype(self.dtype())
    }
    /// For each row (the last dimension) of non-negative weights, `samples` u32 indices drawn with probabilities in
    /// proportion to them. Without replacement no index is drawn twice (by the largest of `weight / exponential`: Efraimidis &
    /// Spirakis 2006).
    ///
    /// ```
    /// use votive::{Device, Generator, Tensor};
    /// let weights = Tensor::new([[0.0f32, 1.0, 0.0], [3.0, 0.0, 1.0]], &Device::cpu())?;
    /// let drawn = weights.multinomial(4, true, &Generator::new(1))?.to_vec_sync::<u32>()?;
    /// assert_eq!(drawn[..4], [1; 4]);
    /// assert!(drawn[4..].iter().all(|&i| i != 1));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When this is a scalar or not a float tensor, or has fewer columns than samples to be drawn without replacement.
    pub fn multinomial(&self, samples: usize, replacement: bool, generator: &Generator) -> Result<Self> {
        want_float("multinomial", self.dtype())?;
        let Some(&classes) = self.dims().last() else {
            return Err(Error::shape("multinomial", "a scalar holds no weights to choose by"));
        };
        if classes == 0 || (!replacement && samples > classes) {
            return Err(Error::argument("multinomial", format!("no {samples} of {classes} can be drawn")));
        }
        let wide = self.device().widest_float();
        let weights = self.detach().to_dtype(wide)?;
        let mut shape = self.dims().to_vec();
        if !replacement {
            let waits = Self::rand(shape, wide, self.device(), generator)?.log()?.neg()?;
            return Self::apply(Op::TopK { k: samples, largest: true }, &[&weights.div(&waits)?]);
        }
        *shape.last_mut().unwrap_or(&mut 0) = samples;
        let sums = weights.cumsum(-1)?;
        let total = sums.narrow(-1, classes - 1, 1)?;
        // 24 bits in f64: the product with the total stays below it.
        let at = Self::rand(shape, DType::F32, self.device(), generator)?.to_dtype(wide)?.mul(&total)?;
        sums.searchsorted(&at, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_known_answers() {
        // kat_vectors of the authors' Random123 library, philox4x32 with 10 rounds.
        assert_eq!(philox([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox([u32::MAX; 2], [u32::MAX; 4]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]);
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn the_same_numbers_for_the_same_draws() -> Result<()> {
        let (a, b) = (Generator::new(5), Generator::new(6));
        let draw = |g: &Generator| Tensor::rand([9], DType::F32, &Device::cpu(), g)?.to_vec_sync::<f32>();
        let first = draw(&a)?;
        assert_ne!(first, draw(&a)?, "each draw has numbers of its own");
        b.manual_seed(5);
        assert_eq!(first, draw(&b)?);
        let state = b.state();
        let second = draw(&b)?;
        a.set_state(state);
        assert_eq!(second, draw(&a)?);
        Ok(())
    }

    /// Mean and variance of a sample.
    fn moments(x: &Tensor) -> Result<(f64, f64)> {
        let x = x.to_dtype(DType::F64)?;
        let mean = x.mean(..)?.to_vec_sync::<f64>()?[0];
        Ok((mean, x.sub_scalar(mean)?.sqr()?.mean(..)?.to_vec_sync::<f64>()?[0]))
    }

    #[test]
    fn distributions_have_their_moments() -> Result<()> {
        // Of 100 000 numbers the mean's standard deviation is 0.003 σ, and the variance's about as much: 5 of them allowed.
        let (cpu, g) = (Device::cpu(), Generator::new(1));
        for dtype in [DType::F32, DType::F16, DType::BF16, DType::F64] {
            let x = Tensor::rand([100_000], dtype, &cpu, &g)?;
            let (mean, variance) = moments(&x)?;
            // The few bits of bf16 shift the mean by half of the last: 0.002.
            assert!((mean - 0.5).abs() < 0.007 && (variance - 1.0 / 12.0).abs() < 0.002, "{dtype}: {mean}, {variance}");
            let limits = [x.min(..)?, x.max(..)?].map(|t| t.to_dtype(DType::F32)?.to_vec_sync::<f32>());
            let [low, high] = limits;
            assert!(low?[0] >= 0.0 && high?[0] < 1.0);
            let (mean, variance) = moments(&Tensor::randn([100_000], dtype, &cpu, &g)?)?;
            assert!(mean.abs() < 0.016 && (variance - 1.0).abs() < 0.023, "{dtype}: {mean}, {variance}");
        }
        let (mean, variance) = moments(&Tensor::randint(-3, 4, [100_000], DType::I32, &cpu, &g)?)?;
        assert!(mean.abs() < 0.03 && (variance - 4.0).abs() < 0.06, "{mean}, {variance}");
        let chances = Tensor::full(0.3, [100_000], DType::F32, &cpu)?;
        let (mean, _) = moments(&chances.bernoulli(&g)?)?;
        assert!((mean - 0.3).abs() < 0.008, "{mean}");
        Ok(())
    }

    #[test]
    fn choices_follow_their_weights() -> Result<()> {
        let (cpu, g) = (Device::cpu(), Generator::new(2));
        let weights = Tensor::new([1.0f32, 0.0, 2.0, 5.0], &cpu)?;
        let share = |drawn: &[u32], i| drawn.iter().filter(|&&v| v == i).count() as f64 / drawn.len() as f64;
        let drawn = weights.multinomial(50_000, true, &g)?.to_vec_sync::<u32>()?;
        for (i, p) in [(0, 0.125), (1, 0.0), (2, 0.25), (3, 0.625)] {
            assert!((share(&drawn, i) - p).abs() < 0.011, "{i}: {}", share(&drawn, i));
        }
        let rows = weights.broadcast_to([20_000, 4])?;
        let drawn = rows.multinomial(3, false, &g)?;
        let first = drawn.narrow(1, 0, 1)?.to_vec_sync::<u32>()?;
        assert!((share(&first, 3) - 0.625).abs() < 0.018);
        let all = drawn.to_vec_sync::<u32>()?;
        assert!(all.chunks(3).all(|c| c[0] != c[1] && c[1] != c[2] && c[0] != c[2] && !c.contains(&1)));
        assert!(weights.multinomial(5, false, &g).is_err());
        Ok(())
    }
}
