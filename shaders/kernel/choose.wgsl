// a is a condition: b where it is not 0, else c.
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
    if (load_a(offset_of(0u, i)) != 0u) {
        store(i, load_b(offset_of(1u, i)));
    } else {
        store(i, load_c(offset_of(2u, i)));
    }
}
