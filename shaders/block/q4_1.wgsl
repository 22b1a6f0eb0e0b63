// 32 weights in 20 bytes: d: f16, m: f16, nibbles: [u8; 16]; d * q + m.
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 32u * 20u;
    let within = at % 32u;
    let origin = base + 4u + within % 16u;
    let shift = within / 16u * 4u;
    let d = half_at_NAME(base);
    let m = half_at_NAME(base + 2u);
    return Eight(
        d * vec4<f32>(bits_of(word_at_NAME(origin), shift, 15u)) + m,
        d * vec4<f32>(bits_of(word_at_NAME(origin + 4u), shift, 15u)) + m,
    );
}
