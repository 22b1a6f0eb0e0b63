// Eight neighbouring weights.
struct Eight {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn dot8(a: Eight, b: Eight) -> f32 {
    return dot(a.low, b.low) + dot(a.high, b.high);
}

fn signed_bytes_of(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}

// Four f16 from two words, exactly: the built-in function may take numbers below 2^-14 for zero.
fn four_halves(words: vec2<u32>) -> vec4<f32> {
    let halves = vec4<u32>(words.x & 0xffffu, words.x >> 16u, words.y & 0xffffu, words.y >> 16u);
    let sign = (halves & vec4<u32>(0x8000u)) << vec4<u32>(16u);
    let magnitude = halves & vec4<u32>(0x7fffu);
    let small = bitcast<vec4<u32>>(vec4<f32>(magnitude) * 5.9604644775390625e-8);
    let normal = (magnitude << vec4<u32>(13u)) + vec4<u32>(0x38000000u);
    let infinite = vec4<u32>(0x7f800000u) | (magnitude << vec4<u32>(13u));
    let finite = select(normal, small, magnitude < vec4<u32>(0x0400u));
    return bitcast<vec4<f32>>(sign | select(finite, infinite, magnitude >= vec4<u32>(0x7c00u)));
}
