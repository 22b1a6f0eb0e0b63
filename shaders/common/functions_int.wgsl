// Functions of one integer; rounding changes none.
fn unary_neg(v: T) -> T {
    return T(0) - v;
}

fn unary_abs(v: T) -> T {
    return select(v, T(0) - v, v < T(0));
}

fn unary_sign(v: T) -> T {
    return select(select(T(1), T(0), v == T(0)), T(0) - T(1), v < T(0));
}

fn unary_sqr(v: T) -> T {
    return v * v;
}

fn unary_relu(v: T) -> T {
    return max(v, T(0));
}

fn unary_floor(v: T) -> T {
    return v;
}

fn unary_ceil(v: T) -> T {
    return v;
}

fn unary_round(v: T) -> T {
    return v;
}

fn unary_trunc(v: T) -> T {
    return v;
}
