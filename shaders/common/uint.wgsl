// Arithmetic of u32, in which u8 is computed too.
alias T = u32;

fn is_nan(v: u32) -> bool {
    return false;
}

fn lowest() -> u32 {
    return 0u;
}

fn highest() -> u32 {
    return 0xffffffffu;
}

fn larger(a: u32, b: u32) -> u32 {
    return max(a, b);
}

fn smaller(a: u32, b: u32) -> u32 {
    return min(a, b);
}
