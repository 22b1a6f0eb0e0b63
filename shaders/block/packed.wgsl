// Eight neighbouring weights of a block format as signed bytes, the first in the lowest: scale * byte + offset.
struct Packed {
    bytes: vec2<u32>,
    scale: f32,
    offset: f32,
}

// A number in each byte of a word: so many bits from `shift` on of each byte.
fn bits_of(words: vec2<u32>, shift: u32, mask: u32) -> vec2<u32> {
    return (words >> vec2<u32>(shift)) & vec2<u32>(mask * 0x01010101u);
}

// The lowest four bits of each word, one in each byte, in the place of bit `to`.
fn spread(low: u32, to: u32) -> vec2<u32> {
    let both = vec2<u32>(low, low >> 4u);
    let bits = (both & vec2<u32>(1u))
        | ((both & vec2<u32>(2u)) << vec2<u32>(7u))
        | ((both & vec2<u32>(4u)) << vec2<u32>(14u))
        | ((both & vec2<u32>(8u)) << vec2<u32>(21u));
    return bits << vec2<u32>(to);
}

// Bytes below 128, each less `by`.
fn less(bytes: vec2<u32>, by: u32) -> vec2<u32> {
    let top = vec2<u32>(0x80808080u);
    return ((bytes | top) - vec2<u32>(by * 0x01010101u)) ^ top;
}
