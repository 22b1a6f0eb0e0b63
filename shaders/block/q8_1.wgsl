// 32 weights in 36 bytes: d: f16, s: f16, q: [i8; 32]; d * q.
fn load8(at: u32, left: u32) -> Eight {
    let base = at / 32u * 36u;
    let origin = base + 4u + at % 32u;
    let d = half_at(base);
    return Eight(d * signed_bytes_of(word_at(origin)), d * signed_bytes_of(word_at(origin + 4u)));
}
