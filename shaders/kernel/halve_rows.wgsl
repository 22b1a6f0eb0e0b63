// Rows as f16 for matrix units, a workgroup for each: k is (words of a row of the result, _, depth, distance of rows). A row is
// multiplied by a power of two, so that its largest number comes to lie from 2^14 to 2^15: none is too large for f16, and none
// above 2^-28 of the largest is so small that f16 has fewer bits for it. What undoes that is the row's first word; the halves
// begin at the fifth, and end with zeros.
const BEFORE_HALVES: u32 = 4u;
var<workgroup> most: array<u32, WORKGROUP>;

fn scaled(at: u32, i: u32, scale: f32) -> f32 {
    if (i >= p.k.z) {
        return 0.0;
    }
    return load_a(at + i) * scale;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_index(group, groups);
    if (row >= p.count) {
        return;
    }
    let at = p.starts.x + row * p.k.w;
    // Bits of magnitudes are ordered as these are; infinities and NaN are beyond all numbers.
    var largest = 0u;
    for (var i = thread; i < p.k.z; i += WORKGROUP) {
        largest = max(largest, bitcast<u32>(load_a(at + i)) & 0x7fffffffu);
    }
    most[thread] = largest;
    workgroupBarrier();
    for (var apart = WORKGROUP / 2u; apart > 0u; apart /= 2u) {
        if (thread < apart) {
            most[thread] = max(most[thread], most[thread + apart]);
        }
        workgroupBarrier();
    }
    // The exponents of both factors are those of numbers that are not subnormal; rows with infinities or NaN stay as they are.
    let exponent = most[0] >> 23u;
    let up = select(clamp(268u - exponent, 1u, 253u), 127u, exponent == 255u);
    let scale = bitcast<f32>(up << 23u);
    let to = row * p.k.x;
    if (thread == 0u) {
        store(to, (254u - up) << 23u);
    }
    for (var i = thread; i < p.k.x - BEFORE_HALVES; i += WORKGROUP) {
        let two = vec2<f32>(scaled(at, 2u * i, scale), scaled(at, 2u * i + 1u, scale));
        store(to + BEFORE_HALVES + i, pack2x16float(two));
    }
}
