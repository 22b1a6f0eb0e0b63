// Running sums (or products) of lines of k.y elements, k.x apart, into lines whose elements are k.z apart. In each piece of a line sums of
// 1, 2, 4 … elements are added up (Hillis & Steele 1986).
var<workgroup> sums: array<T, WORKGROUP>;

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
    var before = neutral_OP();
    for (var first = 0u; first < p.k.y; first += WORKGROUP) {
        let i = first + thread;
        var sum = neutral_OP();
        if (i < p.k.y) {
            sum = CONVERT(load_a(origin + i * p.k.x));
        }
        sums[thread] = sum;
        workgroupBarrier();
        for (var reach = 1u; reach < WORKGROUP; reach *= 2u) {
            if (thread >= reach) {
                sum = joined_OP(sums[thread - reach], sum);
            }
            workgroupBarrier();
            sums[thread] = sum;
            workgroupBarrier();
        }
        if (i < p.k.y) {
            store(to + i * p.k.z, joined_OP(before, sum));
        }
        before = joined_OP(before, sums[WORKGROUP - 1u]);
        workgroupBarrier();
    }
}
