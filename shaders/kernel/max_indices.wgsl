// Where the largest element of each window of an image is: the first of equals, a NaN before all. b holds the first rows and
// the rows past the last of k.x rows of windows, then the same of k.y columns. k: rows and columns of windows, steps.
// `inner`: strides of an image's rows and columns, and its width; `dims`: the images.
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
    let row = i / p.k.y % p.k.x;
    let origin = offset_of(0u, i / (p.k.y * p.k.x));
    let right = 2u * (p.k.x + column);
    let left = load_b(right);
    var at = load_b(2u * row) * inner_dim(2u) + left;
    var best = load_a(origin + load_b(2u * row) * inner_dim(0u) + left * inner_dim(1u));
    for (var y = load_b(2u * row); y < load_b(2u * row + 1u); y += p.k.z) {
        for (var x = left; x < load_b(right + 1u); x += p.k.w) {
            let v = load_a(origin + y * inner_dim(0u) + x * inner_dim(1u));
            if (!is_nan(best) && (v > best || is_nan(v))) {
                best = v;
                at = y * inner_dim(2u) + x;
            }
        }
    }
    store(i, at);
}
