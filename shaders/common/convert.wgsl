// Between the kinds of numbers as Rust's `as`: saturating, NaN to 0.
fn float_to_float(v: f32) -> f32 {
    return v;
}

fn int_to_int(v: i32) -> i32 {
    return v;
}

fn uint_to_uint(v: u32) -> u32 {
    return v;
}

fn float_to_int(v: f32) -> i32 {
    if ((bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u) {
        return 0;
    }
    if (v >= 2147483648.0) {
        return 2147483647;
    }
    // -2^31 and below.
    return select(i32(max(v, -2147483520.0)), i32(-2147483647 - 1), v <= -2147483648.0);
}

// LIMIT: the largest number of the result's dtype.
fn float_to_uint(v: f32) -> u32 {
    if (!(v >= 1.0) || (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u) {
        return 0u;
    }
    return select(min(u32(min(v, 4294967040.0)), LIMIT), LIMIT, v >= 4294967296.0);
}

fn int_to_float(v: i32) -> f32 {
    return f32(v);
}

fn uint_to_float(v: u32) -> f32 {
    return f32(v);
}

fn int_to_uint(v: i32) -> u32 {
    return bitcast<u32>(v);
}

fn uint_to_int(v: u32) -> i32 {
    return bitcast<i32>(v);
}

// To i64, which is held as i32: saturating.
fn uint_to_wide(v: u32) -> i32 {
    return i32(min(v, 2147483647u));
}
