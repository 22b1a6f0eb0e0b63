@group(0) @binding(SLOT) var<storage, read> NAME_values: array<i32>;

fn load_NAME(i: u32) -> i32 {
    return NAME_values[i];
}
