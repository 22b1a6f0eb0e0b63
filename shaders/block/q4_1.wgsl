// 32 weights in 20 bytes: d: f16, m: f16, nibbles: [u8; 16]; d * q + m.
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 32u * 20u;
    let within = at % 32u;
    let q = bits_of(two_words_at_NAME(base + 4u + within % 16u), within / 16u * 4u, 15u);
    return Packed(q, half_at_NAME(base), half_at_NAME(base + 2u));
}
