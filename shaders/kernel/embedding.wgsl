// Rows of the table b of k.x elements, k.y apart, of which there are k.z, by the ids a; eight elements by a thread. b holds
// those from k.w on, so many as inner[0] says; the others are left for other dispatches.
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
    let eights = (p.k.x + 7u) / 8u;
    let row = i / eights;
    let column = i % eights * 8u;
    let id = INDEX(load_a(offset_of(0u, row)), p.k.z) - p.k.w;
    // Wraps around for rows before.
    if (id >= inner_dim(0u)) {
        return;
    }
    let left = p.k.x - column;
    let values = load8_b(p.starts.y + id * p.k.y + column, left);
    for (var j = 0u; j < min(left, 8u); j++) {
        store(row * p.k.x + column + j, select(values.low[j & 3u], values.high[j & 3u], j >= 4u));
    }
}
