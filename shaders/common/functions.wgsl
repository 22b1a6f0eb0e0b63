// Elementwise functions of one float, named as `Unary` names them. WGSL's own are used where its accuracy
// is enough.

// n * pi/2 is taken from x in three parts, the first two short enough for exact products (Cody & Waite 1980); the
// polynomials are those of Cephes.
fn sine(x: f32, quarter_turns: i32) -> f32 {
    let n = round(x * 0.63661977236);
    var r = x - n * 1.5703125;
    r -= n * 4.837512969970703125e-4;
    r -= n * 7.549789954891892e-8;
    let z = r * r;
    let sin_r = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
    let cos_r = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
    let quadrant = (i32(n) + quarter_turns) & 3;
    let value = select(sin_r, cos_r, (quadrant & 1) == 1);
    return select(value, -value, quadrant >= 2);
}

// A polynomial near 0, by the exponential elsewhere: the built-in one may overflow.
fn hyperbolic_tangent(x: f32) -> f32 {
    let a = abs(x);
    let s = x * x;
    let near = x * ((((-6.2355387e-3 * s + 2.103966e-2) * s - 5.3842703e-2) * s + 1.3332461e-1) * s * s
        - 3.333331e-1 * s + 1.0);
    let far = sign(x) * (1.0 - 2.0 / (exp(2.0 * min(a, 20.0)) + 1.0));
    return select(far, near, a < 0.55 || is_nan(x));
}

// A polynomial near 0; elsewhere from erfc(x) = t e^(q(t) - x^2), t = 2 / (2 + x). The fits are the CPU's.
fn error_function(x: f32) -> f32 {
    let a = abs(x);
    let s = x * x;
    var near = 8.513086e-5;
    near = near * s - 8.175635e-4;
    near = near * s + 5.203859e-3;
    near = near * s - 2.6860508e-2;
    near = near * s + 1.1283715e-1;
    near = near * s - 3.761263e-1;
    near = x * (near * s + 1.1283791670955126);
    let bounded = min(a, 4.2);
    let t = 2.0 / (2.0 + bounded);
    var q = -2.7572755e-1;
    q = q * t + 1.0748478;
    q = q * t - 1.4951796;
    q = q * t + 7.556742e-1;
    q = q * t - 2.325242e-1;
    q = q * t + 4.468988e-1;
    q = q * t + 9.908111e-1;
    q = q * t - 1.2650045;
    let far = sign(x) * (1.0 - t * exp(q - bounded * bounded));
    return select(far, near, a < 0.9 || is_nan(x));
}

// Cephes' polynomial about 1: the built-in one is only as exact as its driver.
fn logarithm(v: f32) -> f32 {
    if (v < 0.0 || is_nan(v)) {
        return nan();
    }
    if (v == 0.0 || v == infinity()) {
        return select(v, -infinity(), v == 0.0);
    }
    // v = m 2^n with m from sqrt(1/2) to sqrt(2).
    let bits = bitcast<u32>(v) - 0x3f3504f3u;
    let n = f32(bitcast<i32>(bits) >> 23u);
    let x = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    let z = x * x;
    var y = 7.0376836292e-2 * x - 1.1514610310e-1;
    y = y * x + 1.1676998740e-1;
    y = y * x - 1.2420140846e-1;
    y = y * x + 1.4249322787e-1;
    y = y * x - 1.6668057665e-1;
    y = y * x + 2.0000714765e-1;
    y = y * x - 2.4999993993e-1;
    y = y * x + 3.3333331174e-1;
    y = y * x * z - 2.12194440e-4 * n - 0.5 * z;
    return (x + y) + 0.693359375 * n;
}

// What rounding 1 + v loses is put right by the ratio (W. Kahan).
fn log_of_one_plus(v: f32) -> f32 {
    let u = 1.0 + v;
    if (u == 1.0 || v > 1e9) {
        return select(logarithm(v), v, u == 1.0);
    }
    return logarithm(u) * (v / (u - 1.0));
}

// Cephes' polynomial, in three ranges.
fn arc_tangent(v: f32) -> f32 {
    let a = abs(v);
    var base = 0.0;
    var x = a;
    if (a > 2.414213562373095) {
        base = 1.5707963267948966;
        x = -1.0 / a;
    } else if (a > 0.4142135623730950) {
        base = 0.7853981633974483;
        x = (a - 1.0) / (a + 1.0);
    }
    let z = x * x;
    let size = base + ((((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1) * z * x + x);
    return select(size, -size, v < 0.0);
}

fn arc_sine(v: f32) -> f32 {
    let a = abs(v);
    let size = select(arc_tangent(a / sqrt(max((1.0 - a) * (1.0 + a), 0.0))), 1.5707963267948966, a == 1.0);
    return select(select(size, -size, v < 0.0), nan(), a > 1.0 || is_nan(v));
}

// From the quantile of the normal distribution by P. J. Acklam's rational functions.
fn inverse_error_function(v: f32) -> f32 {
    let a = abs(v);
    if (a >= 1.0 || is_nan(v)) {
        return select(nan(), select(infinity(), -infinity(), v < 0.0), a == 1.0);
    }
    let tail = (1.0 - a) / 2.0;
    var quantile: f32;
    if (tail < 0.02425) {
        let t = sqrt(-2.0 * logarithm(tail));
        let above = ((((-7.784894002430293e-3 * t - 3.223964580411365e-1) * t - 2.400758277161838) * t - 2.549732539343734)
            * t + 4.374664141464968) * t + 2.938163982698783;
        let below = (((7.784695709041462e-3 * t + 3.224671290700398e-1) * t + 2.445134137142996) * t + 3.754408661907416)
            * t + 1.0;
        quantile = -above / below;
    } else {
        let r = a * a / 4.0;
        let above = ((((-3.969683028665376e1 * r + 2.209460984245205e2) * r - 2.759285104469687e2) * r
            + 1.38357751867269e2) * r - 3.066479806614716e1) * r + 2.506628277459239;
        let below = ((((-5.447609879822406e1 * r + 1.615858368580409e2) * r - 1.556989798598866e2) * r
            + 6.680131188771972e1) * r - 1.328068155288572e1) * r + 1.0;
        quantile = above * (a / 2.0) / below;
    }
    var size = quantile * 0.7071067811865476;
    if (tail >= 0.02425) {
        // A step of Newton's method, where the error function is steep enough to gain by it.
        size -= (error_function(size) - a) * 0.886226925452758 * exp(size * size);
    }
    return select(size, -size, v < 0.0);
}

fn unary_neg(v: f32) -> f32 {
    return -v;
}

fn unary_abs(v: f32) -> f32 {
    return abs(v);
}

fn unary_sign(v: f32) -> f32 {
    return select(sign(v), 0.0, is_nan(v));
}

fn unary_exp(v: f32) -> f32 {
    return exp(v);
}

fn unary_log(v: f32) -> f32 {
    return logarithm(v);
}

fn unary_sqrt(v: f32) -> f32 {
    return select(sqrt(v), nan(), v < 0.0);
}

fn unary_rsqrt(v: f32) -> f32 {
    return select(1.0 / sqrt(v), nan(), v < 0.0);
}

fn unary_recip(v: f32) -> f32 {
    return 1.0 / v;
}

fn unary_sqr(v: f32) -> f32 {
    return v * v;
}

fn unary_sin(v: f32) -> f32 {
    return sine(v, 0);
}

fn unary_cos(v: f32) -> f32 {
    return sine(v, 1);
}

fn unary_tan(v: f32) -> f32 {
    return sine(v, 0) / sine(v, 1);
}

fn unary_asin(v: f32) -> f32 {
    return arc_sine(v);
}

fn unary_acos(v: f32) -> f32 {
    return 1.5707963267948966 - arc_sine(v);
}

fn unary_atan(v: f32) -> f32 {
    return arc_tangent(v);
}

fn unary_sinh(v: f32) -> f32 {
    let s = v * v;
    let near = v * (((s / 5040.0 + 1.0 / 120.0) * s + 1.0 / 6.0) * s + 1.0);
    return select(0.5 * (exp(v) - exp(-v)), near, abs(v) < 0.5);
}

fn unary_cosh(v: f32) -> f32 {
    return 0.5 * (exp(v) + exp(-v));
}

fn unary_tanh(v: f32) -> f32 {
    return hyperbolic_tangent(v);
}

fn unary_asinh(v: f32) -> f32 {
    let a = abs(v);
    // Its square is infinite from 1.8e19 on.
    let size = select(log_of_one_plus(a + a * a / (sqrt(a * a + 1.0) + 1.0)), logarithm(a) + 0.6931471805599453, a > 1e9);
    return select(size, -size, v < 0.0);
}

fn unary_acosh(v: f32) -> f32 {
    let t = v - 1.0;
    let size = select(log_of_one_plus(t + sqrt(max(2.0 * t + t * t, 0.0))), logarithm(v) + 0.6931471805599453, v > 1e9);
    return select(size, nan(), v < 1.0);
}

fn unary_atanh(v: f32) -> f32 {
    let a = abs(v);
    let size = select(0.5 * log_of_one_plus(2.0 * a / (1.0 - a)), infinity(), a == 1.0);
    return select(select(size, -size, v < 0.0), nan(), a > 1.0);
}

fn unary_exp2(v: f32) -> f32 {
    return exp2(v);
}

fn unary_expm1(v: f32) -> f32 {
    let near = v * ((((((v / 5040.0 + 1.0 / 720.0) * v + 1.0 / 120.0) * v + 1.0 / 24.0) * v + 1.0 / 6.0) * v + 0.5) * v + 1.0);
    return select(exp(v) - 1.0, near, abs(v) < 0.35);
}

fn unary_log2(v: f32) -> f32 {
    return 1.4426950408889634 * logarithm(v);
}

fn unary_log10(v: f32) -> f32 {
    return 0.4342944819032518 * logarithm(v);
}

fn unary_log1p(v: f32) -> f32 {
    return select(log_of_one_plus(v), nan(), v < -1.0);
}

fn unary_erf(v: f32) -> f32 {
    return error_function(v);
}

fn unary_erfinv(v: f32) -> f32 {
    return inverse_error_function(v);
}

fn unary_floor(v: f32) -> f32 {
    return floor(v);
}

fn unary_ceil(v: f32) -> f32 {
    return ceil(v);
}

fn unary_round(v: f32) -> f32 {
    return round(v);
}

fn unary_trunc(v: f32) -> f32 {
    return trunc(v);
}

fn unary_sigmoid(v: f32) -> f32 {
    return 1.0 / (1.0 + exp(-v));
}

fn unary_relu(v: f32) -> f32 {
    return select(v, 0.0, v < 0.0);
}

fn unary_silu(v: f32) -> f32 {
    return v / (1.0 + exp(-v));
}

fn unary_gelu(v: f32) -> f32 {
    return 0.5 * v * (1.0 + error_function(v * 0.7071067811865476));
}

fn unary_gelu_tanh(v: f32) -> f32 {
    // 0.5 v (1 + tanh u) = v / (1 + e^-2u)
    let u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
    return v / (1.0 + exp(-2.0 * u));
}
