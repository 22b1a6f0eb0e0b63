// Reads all k.x quads of a once, neighbouring threads neighbouring ones. What a thread makes of its own is written, so that none
// may be left out; k.x is a multiple of four times p.count.
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
    var mixed = vec4<u32>(0u);
    for (var at = i; at < p.k.x; at += 4u * p.count) {
        // Four that do not wait for each other.
        let low = load_a(at) ^ load_a(at + p.count);
        let high = load_a(at + 2u * p.count) ^ load_a(at + 3u * p.count);
        mixed = (mixed ^ low) + high;
    }
    store(i, mixed.x ^ mixed.y ^ mixed.z ^ mixed.w);
}
