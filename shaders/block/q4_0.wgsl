// 32 weights in 18 bytes: d: f16, nibbles: [u8; 16]; d * (q - 8).
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 32u * 18u;
    let within = at % 32u;
    let q = bits_of(two_words_at_NAME(base + 2u + within % 16u), within / 16u * 4u, 15u);
    return Packed(less(q, 8u), half_at_NAME(base), 0.0);
}
