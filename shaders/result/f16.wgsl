alias R = f32;
@group(0) @binding(SLOT) var<storage, read_write> result: array<f32>;

// Held as f32, rounded to what f16 can hold, to even in the middle.
fn store(i: u32, v: f32) {
    let bits = bitcast<u32>(v);
    let magnitude = bits & 0x7fffffffu;
    var rounded = magnitude;
    if (magnitude < 0x38800000u) {
        // Below 2^-14: multiples of 2^-24, to which adding 1/2 rounds (were it known to be 1/2, a compiler might not).
        let half = bitcast<f32>(0x3f000000u | unknown_zero());
        rounded = bitcast<u32>((bitcast<f32>(magnitude) + half) - half);
    } else if (magnitude < 0x7f800000u) {
        rounded = (magnitude + 0xfffu + ((magnitude >> 13u) & 1u)) & 0xffffe000u;
        // From 65520 on.
        rounded = select(rounded, 0x7f800000u, rounded >= 0x47800000u);
    }
    result[i] = bitcast<f32>((bits & 0x80000000u) | rounded);
}
