// A thread for each result: few elements each, or results that adjoin.
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
    let origin = offset_of(0u, i);
    var total = neutral_OP();
    for (var first = 0u; first < p.inner_count; first += 64u) {
        var part = neutral_OP();
        for (var j = first; j < min(first + 64u, p.inner_count); j++) {
            part = joined_OP(part, CONVERT(load_a(origin + inner_offset(1u, j))));
        }
        total = joined_OP(total, part);
    }
    store(i, finished(total, p.inner_count));
}
