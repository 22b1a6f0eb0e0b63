// Two to a word.
@group(0) @binding(SLOT) var<storage, read> NAME_values: array<u32>;

fn load_NAME(i: u32) -> f32 {
    let half = (NAME_values[i >> 1u] >> ((i & 1u) << 4u)) & 0xffffu;
    return bitcast<f32>(half << 16u);
}
