// 256 weights in 176 bytes: d: f16, dmin: f16, scales: [u8; 12], fifth bits: [u8; 32], nibbles: [u8; 128];
// d * scale * q - dmin * min.
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 256u * 176u;
    let within = at % 256u;
    let group = within / 32u;
    let scale = group_scale_NAME(base + 4u, group) * unpack2x16float(word_at_NAME(base));
    let origin = base + 48u + group / 2u * 32u + within % 32u;
    let fifth = base + 16u + within % 32u;
    let shift = group % 2u * 4u;
    let low = bits_of(word_at_NAME(origin), shift, 15u) | (bits_of(word_at_NAME(fifth), group, 1u) << vec4<u32>(4u));
    let high = bits_of(word_at_NAME(origin + 4u), shift, 15u) | (bits_of(word_at_NAME(fifth + 4u), group, 1u) << vec4<u32>(4u));
    return Eight(scale.x * vec4<f32>(low) - scale.y, scale.x * vec4<f32>(high) - scale.y);
}
