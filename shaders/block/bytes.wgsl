// Block formats: `b` as bytes. Blocks need not begin at a word.
@group(0) @binding(SLOT) var<storage, read> NAME_values: array<u32>;

fn byte_at(at: u32) -> u32 {
    return (NAME_values[at >> 2u] >> ((at & 3u) << 3u)) & 0xffu;
}

// Four bytes from any address.
fn word_at(at: u32) -> u32 {
    let shift = (at & 3u) << 3u;
    let word = NAME_values[at >> 2u] >> shift;
    if (shift == 0u) {
        return word;
    }
    return word | (NAME_values[(at >> 2u) + 1u] << (32u - shift));
}

// An f16 from an even address.
fn half_at(at: u32) -> f32 {
    return unpack2x16float(NAME_values[at >> 2u] >> ((at & 2u) << 3u)).x;
}

fn bytes_of(word: u32) -> vec4<u32> {
    return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
}

fn signed_bytes_of(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}

// Four numbers of so many bits, one in each byte.
fn bits_of(word: u32, shift: u32, mask: u32) -> vec4<u32> {
    return (bytes_of(word) >> vec4<u32>(shift)) & vec4<u32>(mask);
}
