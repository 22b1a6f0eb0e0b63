// A workgroup for each result: every thread a part, then halves of the parts joined.
var<workgroup> parts: array<T, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let line = group_index(group, groups);
    if (line >= p.count) {
        return;
    }
    let origin = offset_of(0u, line);
    var part = neutral_OP();
    for (var i = thread; i < p.inner_count; i += WORKGROUP) {
        part = joined_OP(part, CONVERT(load_a(origin + inner_offset(1u, i))));
    }
    parts[thread] = part;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            parts[thread] = joined_OP(parts[thread], parts[thread + width]);
        }
        workgroupBarrier();
    }
    if (thread == 0u) {
        store(line, finished(parts[0], p.inner_count));
    }
}
