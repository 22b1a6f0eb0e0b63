// Arithmetic of i32, in which i64 is computed too.
alias T = i32;

fn is_nan(v: i32) -> bool {
    return false;
}

fn lowest() -> i32 {
    return i32(-2147483647 - 1);
}

fn highest() -> i32 {
    return 2147483647;
}

fn larger(a: i32, b: i32) -> i32 {
    return max(a, b);
}

fn smaller(a: i32, b: i32) -> i32 {
    return min(a, b);
}
