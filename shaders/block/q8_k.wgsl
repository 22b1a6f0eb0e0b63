// 256 weights in 292 bytes: d: f32, q: [i8; 256], sums: [i16; 16]; d * q.
fn load8_NAME(at: u32, left: u32) -> Eight {
    let base = at / 256u * 292u;
    let origin = base + 4u + at % 256u;
    let d = bitcast<f32>(word_at_NAME(base));
    return Eight(d * signed_bytes_of(word_at_NAME(origin)), d * signed_bytes_of(word_at_NAME(origin + 4u)));
}
