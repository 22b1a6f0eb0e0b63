@group(0) @binding(SLOT) var<storage, read> NAME_values: array<f32>;

fn load_NAME(i: u32) -> f32 {
    return NAME_values[i];
}
