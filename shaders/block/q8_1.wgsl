// 32 weights in 36 bytes: d: f16, s: f16, q: [i8; 32]; d * q.
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 32u * 36u;
    return Packed(two_words_at_NAME(base + 4u + at % 32u), half_at_NAME(base), 0.0);
}
