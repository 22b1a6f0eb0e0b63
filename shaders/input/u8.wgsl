// Four to a word.
@group(0) @binding(SLOT) var<storage, read> NAME_values: array<u32>;

fn load_NAME(i: u32) -> u32 {
    return (NAME_values[i >> 2u] >> ((i & 3u) << 3u)) & 0xffu;
}
