// 256 weights in 144 bytes: d: f16, dmin: f16, scales: [u8; 12], nibbles: [u8; 128]; d * scale * q - dmin * min.
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 256u * 144u;
    let within = at % 256u;
    let group = within / 32u;
    let scale = group_scale_NAME(base + 4u, group) * unpack2x16float(word_at_NAME(base));
    let origin = base + 16u + group / 2u * 32u + within % 32u;
    return Packed(bits_of(two_words_at_NAME(origin), group % 2u * 4u, 15u), scale.x, -scale.y);
}
