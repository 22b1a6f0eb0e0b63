// Four words at once.
@group(0) @binding(SLOT) var<storage, read> NAME_values: array<vec4<u32>>;

fn load_NAME(i: u32) -> vec4<u32> {
    return NAME_values[i];
}
