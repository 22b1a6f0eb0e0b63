// Block formats: an operand as bytes. Blocks need not begin at a word.
@group(0) @binding(SLOT) var<storage, read> NAME_values: array<u32>;

fn byte_at_NAME(at: u32) -> u32 {
    return (NAME_values[at >> 2u] >> ((at & 3u) << 3u)) & 0xffu;
}

// Four bytes from any address.
fn word_at_NAME(at: u32) -> u32 {
    let shift = (at & 3u) << 3u;
    let word = NAME_values[at >> 2u] >> shift;
    if (shift == 0u) {
        return word;
    }
    return word | (NAME_values[(at >> 2u) + 1u] << (32u - shift));
}

fn two_words_at_NAME(at: u32) -> vec2<u32> {
    return vec2<u32>(word_at_NAME(at), word_at_NAME(at + 4u));
}

// An f16 from an even address.
fn half_at_NAME(at: u32) -> f32 {
    return unpack2x16float(NAME_values[at >> 2u] >> ((at & 2u) << 3u)).x;
}
