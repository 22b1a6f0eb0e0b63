// Functions of two floats, named as `Binary` names them.
fn binary_add(a: f32, b: f32) -> f32 {
    return a + b;
}

fn binary_sub(a: f32, b: f32) -> f32 {
    return a - b;
}

fn binary_mul(a: f32, b: f32) -> f32 {
    return a * b;
}

fn binary_div(a: f32, b: f32) -> f32 {
    return a / b;
}

fn binary_pow(a: f32, b: f32) -> f32 {
    return power(a, b);
}

fn binary_minimum(a: f32, b: f32) -> f32 {
    return smaller(a, b);
}

fn binary_maximum(a: f32, b: f32) -> f32 {
    return larger(a, b);
}

fn binary_atan2(a: f32, b: f32) -> f32 {
    let infinite = infinity();
    var size = arc_tangent(abs(a) / abs(b));
    size = select(size, 0.7853981633974483, abs(a) == infinite && abs(b) == infinite);
    size = select(size, 0.0, a == 0.0 && b == 0.0);
    size = select(size, 3.141592653589793 - size, (bitcast<u32>(b) >> 31u) == 1u);
    return binary_copysign(select(size, nan(), is_nan(a) || is_nan(b)), a);
}

fn binary_fmod(a: f32, b: f32) -> f32 {
    let y = abs(b);
    var left = abs(a);
    if (y == 0.0 || is_nan(a) || is_nan(b) || left == infinity()) {
        return nan();
    }
    // Each step takes away the largest multiple of y by a power of two, which is exact.
    for (var steps = 0u; left >= y && steps < 300u; steps++) {
        let powers = (bitcast<u32>(left) >> 23u) - (bitcast<u32>(y) >> 23u);
        let multiple = bitcast<f32>(bitcast<u32>(y) + (powers << 23u));
        left -= select(multiple, 0.5 * multiple, multiple > left);
    }
    return binary_copysign(left, a);
}

fn binary_remainder(a: f32, b: f32) -> f32 {
    let left = binary_fmod(a, b);
    return select(left, left + b, left != 0.0 && (left < 0.0) != (b < 0.0));
}

fn binary_hypot(a: f32, b: f32) -> f32 {
    let x = abs(a);
    let y = abs(b);
    let large = max(x, y);
    let small = min(x, y);
    if (large == infinity()) {
        return large;
    }
    let ratio = small / select(large, 1.0, large == 0.0);
    return select(large * sqrt(1.0 + ratio * ratio), nan(), is_nan(a) || is_nan(b));
}

fn binary_copysign(a: f32, b: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(a) & 0x7fffffffu) | (bitcast<u32>(b) & 0x80000000u));
}

// As C's: WGSL's own takes no negative bases.
fn power(a: f32, b: f32) -> f32 {
    if (b == 0.0 || a == 1.0) {
        return 1.0;
    }
    if (is_nan(a) || is_nan(b)) {
        return nan();
    }
    if (a == 0.0) {
        return select(0.0, infinity(), b < 0.0);
    }
    let size = exp2(b * log2(abs(a)));
    if (a > 0.0) {
        return size;
    }
    if (floor(b) != b) {
        return nan();
    }
    return select(size, -size, floor(b * 0.5) * 2.0 != b);
}
