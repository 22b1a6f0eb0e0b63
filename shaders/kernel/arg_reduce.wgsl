// Where the largest (LARGEST) or smallest element of each line is: k.y elements, k.x apart. The first of equals; a NaN
// before all.
var<workgroup> values: array<T, WORKGROUP>;
var<workgroup> places: array<u32, WORKGROUP>;

fn beats(a: T, a_at: u32, b: T, b_at: u32) -> bool {
    let a_nan = is_nan(a);
    let b_nan = is_nan(b);
    if (a_nan || b_nan) {
        return a_nan && (!b_nan || a_at < b_at);
    }
    if (a == b) {
        return a_at < b_at;
    }
    return (a > b) == LARGEST;
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
    // Threads that have no element of their own take the first.
    var at = select(0u, thread, thread < p.k.y);
    var best = load_a(origin + at * p.k.x);
    for (var i = thread + WORKGROUP; i < p.k.y; i += WORKGROUP) {
        let v = load_a(origin + i * p.k.x);
        if (beats(v, i, best, at)) {
            best = v;
            at = i;
        }
    }
    values[thread] = best;
    places[thread] = at;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width && beats(values[thread + width], places[thread + width], values[thread], places[thread])) {
            values[thread] = values[thread + width];
            places[thread] = places[thread + width];
        }
        workgroupBarrier();
    }
    if (thread == 0u) {
        store(line, places[0]);
    }
}
