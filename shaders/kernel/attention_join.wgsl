// What attention.wgsl leaves of rows whose keys were shared by k.x workgroups: each part is k.y columns, the largest score and
// the sum of the weights.
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
    let width = p.k.y + 2u;
    let origin = line * p.k.x * width;
    var top = lowest();
    for (var i = 0u; i < p.k.x; i++) {
        top = larger(top, load_a(origin + i * width + p.k.y));
    }
    // Where all scores are -infinity, nothing is subtracted, and all count nothing.
    let shift = select(top, 0.0, top == lowest());
    var sum = 0.0;
    for (var i = 0u; i < p.k.x; i++) {
        sum += load_a(origin + i * width + p.k.y + 1u) * exp(load_a(origin + i * width + p.k.y) - shift);
    }
    for (var column = thread; column < p.k.y; column += WORKGROUP) {
        var total = 0.0;
        for (var i = 0u; i < p.k.x; i++) {
            total += load_a(origin + i * width + column) * exp(load_a(origin + i * width + p.k.y) - shift);
        }
        store(line * p.k.y + column, select(total / sum, 0.0, sum == 0.0));
    }
}
