// As sums_shared.wgsl, with one barrier: threads that run in step add without memory, and the first of them writes. Threads of
// a workgroup are dealt to subgroups in order, as every implementation does.
var<workgroup> parts: array<f32, SUMS * WORKGROUP>;
// Threads that run in step.
var<private> lanes: u32;

fn put(slot: u32, thread: u32, part: f32) {
    let sum = subgroupAdd(part);
    if (subgroupExclusiveAdd(1u) == 0u) {
        parts[slot * WORKGROUP + thread] = sum;
    }
}

fn settle(thread: u32) {
    lanes = subgroupAdd(1u);
    workgroupBarrier();
}

fn sum_of(slot: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < WORKGROUP; i += lanes) {
        sum += parts[slot * WORKGROUP + i];
    }
    return sum;
}
