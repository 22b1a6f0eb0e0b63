// a with c added (ADD) or put at the indices b along dimension k.x; of several put at one place the last stays. Each result looks for its summands, so that their order is always
// the same. `inner` is the shape of b and c, whose strides along the dimension are k.y and k.z; their layouts stand still
// along it.
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
    var value = load_a(offset_of(0u, i));
    var b_from = p.starts.y;
    var c_from = p.starts.z;
    var own = 0u;
    var reached = true;
    var rest = i;
    for (var d = p.rank; d > 0u; d--) {
        let size = dim(d - 1u);
        let at = rest % size;
        rest /= size;
        b_from += at * stride(1u, d - 1u);
        c_from += at * stride(2u, d - 1u);
        if (d - 1u == p.k.x) {
            own = at;
        } else {
            reached = reached && at < inner_dim(d - 1u);
        }
    }
    if (reached) {
        for (var j = 0u; j < p.k.w; j++) {
            if (INDEXIS(load_b(b_from + j * p.k.y), own)) {
                let found = load_c(c_from + j * p.k.z);
                value = select(found, value + found, ADD);
            }
        }
    }
    store(i, value);
}
