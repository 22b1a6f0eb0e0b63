// Sums over a workgroup, SUMS at once, by halving: each thread gives a part of each sum, and after `settle` all may read them.
var<workgroup> parts: array<f32, SUMS * WORKGROUP>;

fn put(slot: u32, thread: u32, part: f32) {
    parts[slot * WORKGROUP + thread] = part;
}

fn settle(thread: u32) {
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            for (var slot = 0u; slot < SUMS; slot++) {
                parts[slot * WORKGROUP + thread] += parts[slot * WORKGROUP + thread + width];
            }
        }
        workgroupBarrier();
    }
}

fn sum_of(slot: u32) -> f32 {
    return parts[slot * WORKGROUP];
}
