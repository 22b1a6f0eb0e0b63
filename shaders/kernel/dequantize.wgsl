// Weights as floats, eight by a thread. Rows of k.x elements, k.y apart.
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
    let at = i * 8u;
    let origin = p.starts.x + at / p.k.x * p.k.y + at % p.k.x;
    let values = load8_a(origin, 8u);
    for (var j = 0u; j < 4u; j++) {
        store(at + j, CONVERT(values.low[j]));
        store(at + 4u + j, CONVERT(values.high[j]));
    }
}
