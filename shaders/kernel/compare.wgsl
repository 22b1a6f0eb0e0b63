// Named as `Compare` names them. By bits, not by what compilers take to be impossible, NaN equals nothing.
fn compare_eq(a: T, b: T) -> bool {
    return a == b && !is_nan(a) && !is_nan(b);
}

fn compare_lt(a: T, b: T) -> bool {
    return a < b && !is_nan(a) && !is_nan(b);
}

fn compare_le(a: T, b: T) -> bool {
    return a <= b && !is_nan(a) && !is_nan(b);
}

fn compare_gt(a: T, b: T) -> bool {
    return a > b && !is_nan(a) && !is_nan(b);
}

fn compare_ge(a: T, b: T) -> bool {
    return a >= b && !is_nan(a) && !is_nan(b);
}

fn compare_ne(a: T, b: T) -> bool {
    return a != b || is_nan(a) || is_nan(b);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = thread_index(group, groups, thread);
    if (i >= p.count) {
        return;
    }
    store(i, select(0u, 1u, compare_OP(load_a(offset_of(0u, i)), load_b(offset_of(1u, i)))));
}
