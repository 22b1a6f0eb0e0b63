// Where the largest (LARGEST) or smallest element of each line is: k.y elements, k.x apart. The first of equals; a NaN
// before all. A line is shared by k.w workgroups, which look at k.z candidates each and write down the best; then one looks
// at those.
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
    let task = group_index(group, groups);
    if (task >= p.count) {
        return;
    }
    var line = task;
    var begin = 0u;
    var end = p.k.z;
    if (SHARED) {
        line = task / p.k.w;
        begin = task % p.k.w * p.k.z;
        end = min(begin + p.k.z, p.k.y);
    }
    // Threads that have no candidate of their own take the first.
    var at = candidate(line, select(begin, begin + thread, begin + thread < end));
    var best = value(line, at);
    for (var i = begin + thread + WORKGROUP; i < end; i += WORKGROUP) {
        let other = candidate(line, i);
        let v = value(line, other);
        if (beats(v, other, best, at)) {
            best = v;
            at = other;
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
        store(task, places[0]);
    }
}
