// 32 weights in 18 bytes: d: f16, nibbles: [u8; 16]; d * (q - 8).
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 32u * 18u;
    let within = at % 32u;
    let origin = base + 2u + within % 16u;
    let shift = within / 16u * 4u;
    let d = half_at_NAME(base);
    return Eight(
        d * (vec4<f32>(bits_of(word_at_NAME(origin), shift, 15u)) - 8.0),
        d * (vec4<f32>(bits_of(word_at_NAME(origin + 4u), shift, 15u)) - 8.0),
    );
}
