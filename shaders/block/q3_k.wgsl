// 256 weights in 110 bytes: third bits: [u8; 32], bits: [u8; 64], scales: [u8; 12], d: f16; d * scale * (q - 4).
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 256u * 110u;
    let within = at % 256u;
    let group = within / 16u;
    let nibble = (byte_at_NAME(base + 96u + group % 8u) >> (group / 8u * 4u)) & 15u;
    let upper = (byte_at_NAME(base + 104u + group % 4u) >> (group / 4u * 2u)) & 3u;
    let scale = half_at_NAME(base + 108u) * (f32(nibble | (upper << 4u)) - 32.0);
    let origin = base + 32u + within / 128u * 32u + within % 32u;
    let third = bits_of(two_words_at_NAME(base + within % 32u), within / 32u, 1u) << vec2<u32>(2u);
    let q = bits_of(two_words_at_NAME(origin), within % 128u / 32u * 2u, 3u) | third;
    return Packed(less(q, 4u), scale, 0.0);
}
