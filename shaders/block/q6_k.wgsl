// 256 weights in 210 bytes: low: [u8; 128], high: [u8; 64], scales: [i8; 16], d: f16; d * scale * (q - 32).
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 256u * 210u;
    let within = at % 256u;
    let half = within / 128u;
    let quarter = within % 128u / 32u;
    let along = within % 32u;
    let scale_bits = byte_at_NAME(base + 192u + within / 16u);
    let scale = half_at_NAME(base + 208u) * f32((bitcast<i32>(scale_bits) << 24u) >> 24u);
    let low_at = base + 64u * half + 32u * (quarter % 2u) + along;
    let high_at = base + 128u + 32u * half + along;
    let shift = quarter / 2u * 4u;
    let low = bits_of(word_at_NAME(low_at), shift, 15u) | (bits_of(word_at_NAME(high_at), 2u * quarter, 3u) << vec4<u32>(4u));
    let high = bits_of(word_at_NAME(low_at + 4u), shift, 15u)
        | (bits_of(word_at_NAME(high_at + 4u), 2u * quarter, 3u) << vec4<u32>(4u));
    return Eight(scale * (vec4<f32>(low) - 32.0), scale * (vec4<f32>(high) - 32.0));
}
