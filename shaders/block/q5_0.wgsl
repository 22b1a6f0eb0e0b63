// 32 weights in 22 bytes: d: f16, high: u32, nibbles: [u8; 16]; d * (q - 16).
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 32u * 22u;
    let within = at % 32u;
    let q = bits_of(two_words_at_NAME(base + 6u + within % 16u), within / 16u * 4u, 15u)
        | spread(word_at_NAME(base + 2u) >> within, 4u);
    return Packed(less(q, 16u), half_at_NAME(base), 0.0);
}
