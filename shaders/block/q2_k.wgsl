// 256 weights in 84 bytes: scales and minimums: [u8; 16], bits: [u8; 64], d: f16, dmin: f16; d * scale * q - dmin * min.
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 256u * 84u;
    let within = at % 256u;
    let packed = byte_at_NAME(base + within / 16u);
    let scale = half_at_NAME(base + 80u) * f32(packed & 15u);
    let low = half_at_NAME(base + 82u) * f32(packed >> 4u);
    // Two bits in each byte, by the four groups of 32 of a half.
    let origin = base + 16u + within / 128u * 32u + within % 32u;
    let shift = within % 128u / 32u * 2u;
    return Eight(
        scale * vec4<f32>(bits_of(word_at_NAME(origin), shift, 3u)) - low,
        scale * vec4<f32>(bits_of(word_at_NAME(origin + 4u), shift, 3u)) - low,
    );
}
