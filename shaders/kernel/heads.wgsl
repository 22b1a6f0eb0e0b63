// Heads out of projections that lie side by side, a [b, t, heads * d] → [b, heads, t, d]; a workgroup for each head of each
// position. k is (heads of queries, heads of keys, d, half of the elements rotated): values come behind both and stay as they
// are. inner: strides of the cosines b and of the sines c, then t and heads. strides[0]: those of a; strides[2] and [3]: start
// and stride of the norms (NORM) of queries and of keys; f.x is added to their mean squares. HALVES as in rope.wgsl.
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
    let size = p.k.z;
    let position = line % inner_dim(4u);
    let head = line / inner_dim(4u) % inner_dim(5u);
    let batch = line / inner_dim(4u) / inner_dim(5u);
    let step = stride(0u, 2u);
    let origin = p.starts.x + batch * stride(0u, 0u) + position * stride(0u, 1u) + head * size * step;
    if (head >= p.k.x + p.k.y) {
        for (var i = thread; i < size; i += WORKGROUP) {
            store(line * size + i, load_a(origin + i * step));
        }
        return;
    }
    let is_query = head < p.k.x;
    var scale = 1.0;
    if (NORM) {
        var squares = 0.0;
        for (var i = thread; i < size; i += WORKGROUP) {
            let v = load_a(origin + i * step);
            squares += v * v;
        }
        put(0u, thread, squares);
        settle(thread);
        scale = 1.0 / sqrt(sum_of(0u) / f32(size) + p.f.x);
    }
    for (var i = thread; i < size; i += WORKGROUP) {
        let own = load_a(origin + i * step) * scale * norm_weight(is_query, i);
        if (i >= 2u * p.k.w) {
            store(line * size + i, own);
            continue;
        }
        var pair = i / 2u;
        var second = (i & 1u) == 1u;
        var other = i ^ 1u;
        if (HALVES) {
            pair = i % p.k.w;
            second = i >= p.k.w;
            other = select(i + p.k.w, pair, second);
        }
        let partner = load_a(origin + other * step) * scale * norm_weight(is_query, other);
        let cosine = load_b(p.starts.y + position * inner_dim(0u) + pair * inner_dim(1u));
        let sine = load_c(p.starts.z + position * inner_dim(2u) + pair * inner_dim(3u));
        store(line * size + i, own * cosine + select(-partner, partner, second) * sine);
    }
}
