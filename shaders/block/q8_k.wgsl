// 256 weights in 292 bytes: d: f32, q: [i8; 256], sums: [i16; 16]; d * q.
fn load8(at: u32, left: u32) -> Eight {
    let base = at / 256u * 292u;
    let origin = base + 4u + at % 256u;
    let d = bitcast<f32>(word_at(base));
    return Eight(d * signed_bytes_of(word_at(origin)), d * signed_bytes_of(word_at(origin + 4u)));
}
