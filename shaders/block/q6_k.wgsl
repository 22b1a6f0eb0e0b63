// 256 weights in 210 bytes: low: [u8; 128], high: [u8; 64], scales: [i8; 16], d: f16; d * scale * (q - 32).
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 256u * 210u;
    let within = at % 256u;
    let half = within / 128u;
    let quarter = within % 128u / 32u;
    let along = within % 32u;
    let scale_bits = byte_at_NAME(base + 192u + within / 16u);
    let scale = half_at_NAME(base + 208u) * f32((bitcast<i32>(scale_bits) << 24u) >> 24u);
    let low = two_words_at_NAME(base + 64u * half + 32u * (quarter % 2u) + along);
    let high = two_words_at_NAME(base + 128u + 32u * half + along);
    let q = bits_of(low, quarter / 2u * 4u, 15u) | (bits_of(high, 2u * quarter, 3u) << vec2<u32>(4u));
    return Packed(less(q, 32u), scale, 0.0);
}
