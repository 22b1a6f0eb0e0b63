// Two to a word.
@group(0) @binding(SLOT) var<storage, read> NAME_values: array<u32>;

fn load_NAME(i: u32) -> f32 {
    let half = (NAME_values[i >> 1u] >> ((i & 1u) << 4u)) & 0xffffu;
    // Built from its parts: unpack2x16float may take numbers below 2^-14 for zero.
    let sign = (half & 0x8000u) << 16u;
    let magnitude = half & 0x7fffu;
    if (magnitude < 0x0400u) {
        return bitcast<f32>(sign | bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8));
    }
    if (magnitude >= 0x7c00u) {
        return bitcast<f32>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13u));
    }
    return bitcast<f32>(sign | ((magnitude << 13u) + 0x38000000u));
}
