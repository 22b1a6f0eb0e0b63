// 32 weights in 34 bytes: d: f16, q: [i8; 32]; d * q.
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 32u * 34u;
    return Packed(two_words_at_NAME(base + 2u + at % 32u), half_at_NAME(base), 0.0);
}
