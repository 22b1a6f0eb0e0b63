// 32 weights in 22 bytes: d: f16, high: u32, nibbles: [u8; 16]; d * (q - 16).
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 32u * 22u;
    let within = at % 32u;
    let origin = base + 6u + within % 16u;
    let shift = within / 16u * 4u;
    let d = half_at_NAME(base);
    let high = word_at_NAME(base + 2u) >> within;
    let low4 = bits_of(word_at_NAME(origin), shift, 15u) | fifth_bits(high);
    let high4 = bits_of(word_at_NAME(origin + 4u), shift, 15u) | fifth_bits(high >> 4u);
    return Eight(d * (vec4<f32>(low4) - 16.0), d * (vec4<f32>(high4) - 16.0));
}
