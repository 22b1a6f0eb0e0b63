// Arithmetic of f32, in which f16 and bf16 are computed too.
alias T = f32;

fn infinity() -> f32 {
    return bitcast<f32>(0x7f800000u | unknown_zero());
}

fn nan() -> f32 {
    return bitcast<f32>(0x7fc00000u | unknown_zero());
}

// By its bits: a compiler may take it that no float is NaN.
fn is_nan(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

fn lowest() -> f32 {
    return -infinity();
}

fn highest() -> f32 {
    return infinity();
}

// NaN if either is.
fn larger(a: f32, b: f32) -> f32 {
    return select(a, b, (b > a || is_nan(b)) && !is_nan(a));
}

fn smaller(a: f32, b: f32) -> f32 {
    return select(a, b, (b < a || is_nan(b)) && !is_nan(a));
}
