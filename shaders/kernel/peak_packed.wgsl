// Packed products of four 8-bit integers, added to a sum, in registers: k.x rounds of 64 in each thread, of sixteen numbers that
// do not wait for each other. The factors k.y are not known to a compiler, and each result needs the one before.
fn after(x: vec4<i32>) -> vec4<i32> {
    return vec4<i32>(
        dot4I8Packed(bitcast<u32>(x.x), p.k.y) + x.x,
        dot4I8Packed(bitcast<u32>(x.y), p.k.y) + x.y,
        dot4I8Packed(bitcast<u32>(x.z), p.k.y) + x.z,
        dot4I8Packed(bitcast<u32>(x.w), p.k.y) + x.w,
    );
}

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
    // Numbers that differ, for whoever reads them.
    var a = vec4<i32>(bitcast<i32>(i * 0x9e3779b9u)) ^ vec4<i32>(0, 1, 2, 3);
    var b = a ^ vec4<i32>(4);
    var c = a ^ vec4<i32>(8);
    var d = a ^ vec4<i32>(12);
    for (var round = 0u; round < p.k.x; round++) {
        a = after(a);
        b = after(b);
        c = after(c);
        d = after(d);
        a = after(a);
        b = after(b);
        c = after(c);
        d = after(d);
        a = after(a);
        b = after(b);
        c = after(c);
        d = after(d);
        a = after(a);
        b = after(b);
        c = after(c);
        d = after(d);
    }
    let all = (a ^ b) + (c ^ d);
    store(i, bitcast<u32>((all.x ^ all.y) + (all.z ^ all.w)));
}
