// 256 weights in 110 bytes: third bits: [u8; 32], bits: [u8; 64], scales: [u8; 12], d: f16; d * scale * (q - 4).
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 256u * 110u;
    let within = at % 256u;
    let group = within / 16u;
    let nibble = (byte_at_NAME(base + 96u + group % 8u) >> (group / 8u * 4u)) & 15u;
    let upper = (byte_at_NAME(base + 104u + group % 4u) >> (group / 4u * 2u)) & 3u;
    let scale = half_at_NAME(base + 108u) * (f32(nibble | (upper << 4u)) - 32.0);
    let third = base + within % 32u;
    let origin = base + 32u + within / 128u * 32u + within % 32u;
    let shift = within % 128u / 32u * 2u;
    let bit = within / 32u;
    let low = bits_of(word_at_NAME(origin), shift, 3u) | (bits_of(word_at_NAME(third), bit, 1u) << vec4<u32>(2u));
    let high = bits_of(word_at_NAME(origin + 4u), shift, 3u) | (bits_of(word_at_NAME(third + 4u), bit, 1u) << vec4<u32>(2u));
    return Eight(scale * (vec4<f32>(low) - 4.0), scale * (vec4<f32>(high) - 4.0));
}
