// Lines of k.y elements, k.x apart, into lines whose elements are k.z apart; of LOG the logarithms.
var<workgroup> parts: array<f32, WORKGROUP>;

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
    let to = offset_of(3u, line);
    var top = lowest();
    for (var i = thread; i < p.k.y; i += WORKGROUP) {
        top = larger(top, load_a(origin + i * p.k.x));
    }
    parts[thread] = top;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            parts[thread] = larger(parts[thread], parts[thread + width]);
        }
        workgroupBarrier();
    }
    top = parts[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var i = thread; i < p.k.y; i += WORKGROUP) {
        sum += exp(load_a(origin + i * p.k.x) - top);
    }
    parts[thread] = sum;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            parts[thread] += parts[thread + width];
        }
        workgroupBarrier();
    }
    sum = parts[0];
    for (var i = thread; i < p.k.y; i += WORKGROUP) {
        let shifted = load_a(origin + i * p.k.x) - top;
        if (LOG) {
            store(to + i * p.k.z, shifted - log(sum));
        } else {
            store(to + i * p.k.z, exp(shifted) / sum);
        }
    }
}
