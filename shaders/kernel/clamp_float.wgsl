// NaN stays.
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
    let v = load_a(offset_of(0u, i));
    store(i, select(select(select(v, p.f.y, v > p.f.y), p.f.x, v < p.f.x), v, is_nan(v)));
}
