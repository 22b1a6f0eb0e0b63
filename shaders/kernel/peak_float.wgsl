// Multiplications with additions of f32 in registers: k.x rounds of 128 in each thread, of sixteen numbers that do not wait for
// each other. The factor f.x and the addend f.y are not known to a compiler, and each result needs the one before.
fn after(x: vec4<f32>) -> vec4<f32> {
    return fma(x, vec4<f32>(p.f.x), vec4<f32>(p.f.y));
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
    var a = vec4<f32>(f32(i & 1023u)) + vec4<f32>(0.0, 1.0, 2.0, 3.0);
    var b = a + vec4<f32>(4.0);
    var c = a + vec4<f32>(8.0);
    var d = a + vec4<f32>(12.0);
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
    let all = (a + b) + (c + d);
    store(i, (all.x + all.y) + (all.z + all.w));
}
