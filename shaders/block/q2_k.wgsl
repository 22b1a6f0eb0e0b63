// 256 weights in 84 bytes: scales and minimums: [u8; 16], bits: [u8; 64], d: f16, dmin: f16; d * scale * q - dmin * min.
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 256u * 84u;
    let within = at % 256u;
    let both = byte_at_NAME(base + within / 16u);
    // Two bits in each byte, by the four groups of 32 of a half.
    let origin = base + 16u + within / 128u * 32u + within % 32u;
    return Packed(
        bits_of(two_words_at_NAME(origin), within % 128u / 32u * 2u, 3u),
        half_at_NAME(base + 80u) * f32(both & 15u),
        -half_at_NAME(base + 82u) * f32(both >> 4u),
    );
}
