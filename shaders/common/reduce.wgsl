// What reductions begin with and how two parts join, named as `Reduce` names them.
fn neutral_sum() -> T {
    return T(0);
}

fn joined_sum(a: T, b: T) -> T {
    return a + b;
}

fn neutral_mean() -> T {
    return T(0);
}

fn joined_mean(a: T, b: T) -> T {
    return a + b;
}

fn neutral_max() -> T {
    return lowest();
}

fn joined_max(a: T, b: T) -> T {
    return larger(a, b);
}

fn neutral_min() -> T {
    return highest();
}

fn joined_min(a: T, b: T) -> T {
    return smaller(a, b);
}

fn neutral_prod() -> T {
    return T(1);
}

fn joined_prod(a: T, b: T) -> T {
    return a * b;
}
