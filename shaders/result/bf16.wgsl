alias R = f32;
@group(0) @binding(SLOT) var<storage, read_write> result: array<f32>;

// Held as f32, rounded to what bf16 can hold, to even in the middle.
fn store(i: u32, v: f32) {
    let bits = bitcast<u32>(v);
    let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) & 0xffff0000u;
    result[i] = bitcast<f32>(select(rounded, bits, (bits & 0x7fffffffu) > 0x7f800000u));
}
