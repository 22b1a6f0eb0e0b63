//! Exponential functions without branches, so that loops over them vectorise.

/// The activations that are made of these functions, for one precision.
macro_rules! activations {
    ($t:ident) => {
        /// `1 / (1 + e^-x)`
        #[inline(always)]
        pub fn sigmoid(x: $t) -> $t {
            1.0 / (1.0 + exp(-x))
        }
        /// `x / (1 + e^-x)`
        #[inline(always)]
        pub fn silu(x: $t) -> $t {
            x / (1.0 + exp(-x))
        }
        /// `x` times the normal distribution's cumulative function.
        #[inline(always)]
        pub fn gelu(x: $t) -> $t {
            0.5 * x * (1.0 + erf(x * std::$t::consts::FRAC_1_SQRT_2))
        }
        /// Its approximation by the hyperbolic tangent: `0.5 x (1 + tanh u) = x / (1 + e^-2u)`.
        #[inline(always)]
        pub fn gelu_tanh(x: $t) -> $t {
            const SQRT_2_OVER_PI: $t = std::$t::consts::FRAC_2_SQRT_PI * std::$t::consts::FRAC_1_SQRT_2;
            let u = SQRT_2_OVER_PI * (x + 0.044715 * x * x * x);
            x / (1.0 + exp(-2.0 * u))
        }
    };
}

/// In single precision; errors within about 2 units in the last place.
pub(super) mod single {
    use std::f32::consts::{FRAC_2_SQRT_PI, LOG2_E};

    activations!(f32);

    /// `2^n` for `-126 <= n <= 127`, else anything.
    #[inline(always)]
    fn power_of_two(n: i32) -> f32 {
        f32::from_bits((n.wrapping_add(127) << 23) as u32)
    }

    /// `e^x`: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, then the Taylor polynomial of `e^r` (Cody & Waite 1980).
    #[inline(always)]
    pub fn exp(x: f32) -> f32 {
        // Adding this leaves the nearest integer in the low bits of the mantissa.
        const ROUND: f32 = 12_582_912.0;
        // ln 2 in two parts, the first short enough for exact products with n.
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // Beyond these limits the result is 0 or infinite; the comparisons keep NaN.
        let x = if x < -104.0 { -104.0 } else { x };
        let x = if x > 89.0 { 89.0 } else { x };
        let shifted = x * LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * LN2_HIGH) - n * LN2_LOW;
        let p = 1.0 / 5040.0;
        let p = p * r + 1.0 / 720.0;
        let p = p * r + 1.0 / 120.0;
        let p = p * r + 1.0 / 24.0;
        let p = p * r + 1.0 / 6.0;
        let p = p * r + 0.5;
        let p = (p * r * r + r) + 1.0;
        // In two factors, since the result may be subnormal or just below overflow. Of NaN `n` is anything, and `p` NaN.
        let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        let half = n >> 1;
        p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
    }

    /// Natural logarithm: `x = m 2^n` with `m` from √½ to √2, then a polynomial of `log(m)` in `m - 1` (the one of the Cephes
    /// library's logf, Moshier 1989).
    #[inline(always)]
    pub fn log(x: f32) -> f32 {
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // Subnormals are brought into the normal range first.
        let tiny = x < f32::MIN_POSITIVE;
        let scaled = if tiny { x * 8_388_608.0 } else { x };
        let bits = scaled.to_bits().wrapping_sub(0x3f35_04f3);
        let n = (bits as i32 >> 23) as f32 - if tiny { 23.0 } else { 0.0 };
        let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
        let p = 7.037_683_6e-2;
        let p = p * f - 1.151_461e-1;
        let p = p * f + 1.167_699_9e-1;
        let p = p * f - 1.242_014_1e-1;
        let p = p * f + 1.424_932_3e-1;
        let p = p * f - 1.666_805_8e-1;
        let p = p * f + 2.000_071_5e-1;
        let p = p * f - 2.499_999_4e-1;
        let p = p * f + 3.333_333e-1;
        let z = f * f;
        let y = p * f * z + n * LN2_LOW - 0.5 * z;
        let y = f + y + n * LN2_HIGH;
        // Of 0, of negative numbers and NaN, of infinity.
        let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
        let y = if x >= 0.0 { y } else { f32::NAN };
        if x == f32::INFINITY { x } else { y }
    }

    /// Hyperbolic tangent: a polynomial in x² near 0, by the exponential elsewhere.
    #[inline(always)]
    pub fn tanh(x: f32) -> f32 {
        let a = x.abs();
        let s = x * x;
        // Least-squares fit of tanh(x)/x in s up to 0.55², relative error 1e-9.
        let p = -6.235_538_7e-3;
        let p = p * s + 2.103_966e-2;
        let p = p * s - 5.384_270_3e-2;
        let p = p * s + 1.333_246_1e-1;
        let p = p * s - 3.333_331e-1;
        let near = x * (p * s + 1.0);
        let far = (1.0 - 2.0 / (exp(2.0 * a) + 1.0)).copysign(x);
        if a < 0.55 || x.is_nan() { near } else { far }
    }

    /// The error function: a polynomial in x² near 0; elsewhere from `erfc(x) = t e^(q(t) - x²)`, `t = 2 / (2 + x)`.
    #[inline(always)]
    pub fn erf(x: f32) -> f32 {
        let a = x.abs();
        let s = x * x;
        // Least-squares fit of erf(x)/x in s up to 0.9², relative error 3e-10.
        let p = 8.513_086e-5;
        let p = p * s - 8.175_635e-4;
        let p = p * s + 5.203_859e-3;
        let p = p * s - 2.686_050_8e-2;
        let p = p * s + 1.128_371_5e-1;
        let p = p * s - 3.761_263_5e-1;
        let near = x * (p * s + FRAC_2_SQRT_PI);
        // Chebyshev fit of q for x from 0.85 to 4.3, error 7e-10; erf is 1 in f32 from 3.92 on.
        let bounded = if a > 4.2 { 4.2 } else { a };
        let t = 2.0 / (2.0 + bounded);
        let q = -2.757_275_5e-1;
        let q = q * t + 1.074_847_8;
        let q = q * t - 1.495_179_6;
        let q = q * t + 7.556_742e-1;
        let q = q * t - 2.325_242_2e-1;
        let q = q * t + 4.468_987_6e-1;
        let q = q * t + 9.908_111e-1;
        let q = q * t - 1.265_004_5;
        let far = (1.0 - t * exp(q - bounded * bounded)).copysign(x);
        if a < 0.87 || x.is_nan() { near } else { far }
    }
}

/// In double precision, for which speed matters less.
pub(super) mod double {
    activations!(f64);

    /// `e^x`
    pub fn exp(x: f64) -> f64 {
        x.exp()
    }
    /// Natural logarithm.
    pub fn log(x: f64) -> f64 {
        x.ln()
    }
    /// Hyperbolic tangent.
    pub fn tanh(x: f64) -> f64 {
        x.tanh()
    }
    /// The error function: a series of positive terms near 0, a continued fraction for its complement elsewhere
    /// (Abramowitz & Stegun 7.1.6 and 7.1.14).
    pub fn erf(x: f64) -> f64 {
        let a = x.abs();
        if x.is_nan() || a > 6.0 {
            return if x.is_nan() { x } else { x.signum() };
        }
        let scale = 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp();
        if a < 2.5 {
            let (mut term, mut sum, mut n) = (x, x, 1.0);
            while term.abs() > 1e-17 * sum.abs() {
                term *= 2.0 * x * x / (2.0 * n + 1.0);
                sum += term;
                n += 1.0;
            }
            return scale * sum;
        }
        let fraction = (1..=60).rev().fold(a, |tail, n| a + f64::from(n) / 2.0 / tail);
        (1.0 - scale / 2.0 / fraction).copysign(x)
    }
    /// Inverse hyperbolic sine, accurate near 0 too: by `log1p`, and by `log(2x)` where the square would overflow.
    pub fn asinh(x: f64) -> f64 {
        let a = x.abs();
        let y = if a > 1e150 {
            a.ln() + std::f64::consts::LN_2
        } else {
            (a + a * a / (1.0 + (a * a + 1.0).sqrt())).ln_1p()
        };
        y.copysign(x)
    }
    /// The inverse of the error function: an approximation of the normal quantile (Acklam 2003, relative error 1e-9), made
    /// exact by two steps of Halley's method on `erf`.
    pub fn erfinv(x: f64) -> f64 {
        use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
        let a = x.abs();
        if x.is_nan() || a >= 1.0 {
            return if a == 1.0 { f64::INFINITY.copysign(x) } else { f64::NAN };
        }
        const A: [f64; 6] = [
            -3.969_683_028_665_376e1,
            2.209_460_984_245_205e2,
            -2.759_285_104_469_687e2,
            1.383_577_518_672_69e2,
            -3.066_479_806_614_716e1,
            2.506_628_277_459_239,
        ];
        const B: [f64; 5] = [
            -5.447_609_879_822_406e1,
            1.615_858_368_580_409e2,
            -1.556_989_798_598_866e2,
            6.680_131_188_771_972e1,
            -1.328_068_155_288_572e1,
        ];
        const C: [f64; 6] = [
            -7.784_894_002_430_293e-3,
            -3.223_964_580_411_365e-1,
            -2.400_758_277_161_838,
            -2.549_732_539_343_734,
            4.374_664_141_464_968,
            2.938_163_982_698_783,
        ];
        const D: [f64; 4] =
            [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
        let polynomial = |c: &[f64], t: f64| c.iter().fold(0.0, |sum, c| sum * t + c);
        let tail = (1.0 - a) / 2.0;
        let quantile = if tail < 0.02425 {
            let t = (-2.0 * tail.ln()).sqrt();
            -polynomial(&C, t) / (polynomial(&D, t) * t + 1.0)
        } else {
            let (q, r) = (a / 2.0, a * a / 4.0);
            polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
        };
        let mut y = quantile * FRAC_1_SQRT_2;
        for _ in 0..2 {
            let step = (erf(y) - a) / (FRAC_2_SQRT_PI * (-y * y).exp());
            y -= step / (1.0 + y * step);
        }
        y.copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units of the last place of the expected value.
    fn ulps(found: f32, expected: f64) -> f64 {
        let rounded = expected as f32;
        if found == rounded || (found.is_nan() && rounded.is_nan()) {
            return 0.0;
        }
        let unit = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
        ((f64::from(found) - expected) / unit).abs()
    }

    #[test]
    fn single_precision_is_within_ulps_of_double() {
        // Polynomial and rounding errors add up to less than 4 units in the last place.
        for i in -200_000..200_000 {
            let x = i as f32 * 6e-4;
            let exact = f64::from(x);
            assert!(ulps(single::exp(x), exact.exp()) < 3.0, "exp({x}) = {}", single::exp(x));
            assert!(ulps(single::tanh(x), exact.tanh()) < 4.0, "tanh({x}) = {}", single::tanh(x));
            assert!(ulps(single::erf(x), double::erf(exact)) < 4.0, "erf({x}) = {}", single::erf(x));
        }
        // Logarithms over all magnitudes, subnormal ones too, and densely around 1.
        let everywhere = (1..0x7f80_0000u32).step_by(9973).map(f32::from_bits);
        for x in everywhere.chain((0..200_000).map(|i| 0.5 + i as f32 * 1e-5)) {
            assert!(ulps(single::log(x), f64::from(x).ln()) < 3.0, "log({x}) = {}", single::log(x));
        }
    }

    #[test]
    fn double_precision_erf_has_published_values() {
        // Abramowitz & Stegun, table 7.1.
        for (x, y) in [(0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)] {
            assert!((double::erf(x) - y).abs() < 1e-10);
        }
        assert!((double::erf(2.499_999) - double::erf(2.500_001)).abs() < 1e-8);
    }

    #[test]
    fn special_values() {
        assert_eq!(single::exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(single::exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(single::exp(0.0), 1.0);
        assert_eq!((single::log(0.0), single::log(-0.0)), (f32::NEG_INFINITY, f32::NEG_INFINITY));
        assert_eq!((single::log(f32::INFINITY), single::log(1.0)), (f32::INFINITY, 0.0));
        assert!(single::log(-1.0).is_nan() && single::log(f32::NEG_INFINITY).is_nan());
        for f in [single::exp, single::log, single::tanh, single::erf] {
            assert!(f(f32::NAN).is_nan());
        }
        assert_eq!((single::tanh(f32::INFINITY), single::erf(f32::NEG_INFINITY)), (1.0, -1.0));
        assert!((-0.0f32).to_bits() == single::tanh(-0.0).to_bits());
    }
}
