// Of each row of k.y elements the first 2 k.z turned by the angles whose cosines are b and sines c, [k.x, k.z]; their strides
// are in `inner`. HALVES: element i pairs with i + k.z; else 2 i with 2 i + 1.
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
    let column = i % p.k.y;
    let own = load_a(offset_of(0u, i));
    if (column >= 2u * p.k.z) {
        store(i, own);
        return;
    }
    var pair = column / 2u;
    var second = (column & 1u) == 1u;
    var distance = 1u;
    if (HALVES) {
        pair = column % p.k.z;
        second = column >= p.k.z;
        distance = p.k.z;
    }
    let position = i / p.k.y % p.k.x;
    let cosine = load_b(p.starts.y + position * inner_dim(0u) + pair * inner_dim(1u));
    let sine = load_c(p.starts.z + position * inner_dim(2u) + pair * inner_dim(3u));
    if (second) {
        store(i, own * cosine + load_a(offset_of(0u, i - distance)) * sine);
    } else {
        store(i, own * cosine - load_a(offset_of(0u, i + distance)) * sine);
    }
}
