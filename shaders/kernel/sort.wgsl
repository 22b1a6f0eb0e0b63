// Order of the k.y elements, k.x apart, of each line: a thread for each element counts those that come before it, and so
// writes its place there, if that is below k.w. Equal elements keep their order; NaN is larger than all.
fn before(a: T, a_at: u32, b: T, b_at: u32) -> bool {
    let a_nan = is_nan(a);
    let b_nan = is_nan(b);
    if (a_nan != b_nan) {
        return a_nan == DESCENDING;
    }
    if (a_nan || a == b) {
        return a_at < b_at;
    }
    return (a > b) == DESCENDING;
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
    let line = i / p.k.y;
    let at = i % p.k.y;
    let origin = offset_of(0u, line);
    let own = load_a(origin + at * p.k.x);
    var rank = 0u;
    for (var j = 0u; j < p.k.y; j++) {
        rank += select(0u, 1u, before(load_a(origin + j * p.k.x), j, own, at));
    }
    if (rank < p.k.w) {
        store(offset_of(3u, line) + rank * p.k.z, at);
    }
}
