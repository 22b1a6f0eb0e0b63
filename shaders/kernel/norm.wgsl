// RMS norm, or layer norm (CENTRE), of lines of k.y elements, k.x apart, times the weights b, k.z apart. f.x is added to the
// mean square.
fn total(thread: u32, part: f32) -> f32 {
    put(0u, thread, part);
    settle(thread);
    let sum = sum_of(0u);
    workgroupBarrier();
    return sum;
}

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
    let size = f32(p.k.y);
    var mean = 0.0;
    if (CENTRE) {
        var sum = 0.0;
        for (var i = thread; i < p.k.y; i += WORKGROUP) {
            sum += load_a(origin + i * p.k.x);
        }
        mean = total(thread, sum) / size;
    }
    var squares = 0.0;
    for (var i = thread; i < p.k.y; i += WORKGROUP) {
        let v = load_a(origin + i * p.k.x) - mean;
        squares += v * v;
    }
    let scale = 1.0 / sqrt(total(thread, squares) / size + p.f.x);
    for (var i = thread; i < p.k.y; i += WORKGROUP) {
        let v = (load_a(origin + i * p.k.x) - mean) * scale * load_b(p.starts.y + i * p.k.z);
        store(line * p.k.y + i, v + added(line, i));
    }
}
