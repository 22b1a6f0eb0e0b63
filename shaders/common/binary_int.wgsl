// Functions of two integers, named as `Binary` names them. Sums and products wrap; a quotient by zero is 0, and so is what it
// leaves, since no kernel can report it.
fn binary_add(a: T, b: T) -> T {
    return a + b;
}

fn binary_sub(a: T, b: T) -> T {
    return a - b;
}

fn binary_mul(a: T, b: T) -> T {
    return a * b;
}

fn binary_div(a: T, b: T) -> T {
    return select(a / select(b, T(1), b == T(0)), T(0), b == T(0));
}

fn binary_pow(a: T, b: T) -> T {
    return power(a, b);
}

fn binary_minimum(a: T, b: T) -> T {
    return min(a, b);
}

fn binary_maximum(a: T, b: T) -> T {
    return max(a, b);
}

fn binary_fmod(a: T, b: T) -> T {
    return select(a % select(b, T(1), b == T(0)), T(0), b == T(0));
}

fn binary_remainder(a: T, b: T) -> T {
    let left = binary_fmod(a, b);
    return select(left, left + b, left != T(0) && (left < T(0)) != (b < T(0)));
}

fn binary_bitwise_and(a: T, b: T) -> T {
    return a & b;
}

fn binary_bitwise_or(a: T, b: T) -> T {
    return a | b;
}

fn binary_bitwise_xor(a: T, b: T) -> T {
    return a ^ b;
}

// Shifts by more bits than there are leave nothing, to the right but the sign; WGSL would take the places modulo 32.
fn binary_bitwise_left_shift(a: T, b: T) -> T {
    let places = u32(b);
    return select(T(0), a << (places & 31u), places < 32u);
}

fn binary_bitwise_right_shift(a: T, b: T) -> T {
    let places = u32(b);
    return (a >> min(places, 31u)) >> select(0u, 1u, places > 31u);
}

// Wrapping; a negative power of anything but 1 and -1 is 0.
fn power(a: T, b: T) -> T {
    if (b < T(0)) {
        return select(select(T(0), select(T(0) - T(1), T(1), b % T(2) == T(0)), a == T(0) - T(1)), T(1), a == T(1));
    }
    var result = T(1);
    var base = a;
    var rest = b;
    while (rest > T(0)) {
        if (rest % T(2) == T(1)) {
            result *= base;
        }
        base *= base;
        rest /= T(2);
    }
    return result;
}
