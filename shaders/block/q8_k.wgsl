// 256 weights in 292 bytes: d: f32, q: [i8; 256], sums: [i16; 16]; d * q.
fn packed8_NAME(at: u32) -> Packed {
    let base = at / 256u * 292u;
    return Packed(two_words_at_NAME(base + 4u + at % 256u), bitcast<f32>(word_at_NAME(base)), 0.0);
}
