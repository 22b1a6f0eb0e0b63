// The gate was computed before, and lies as the result does.
fn finished(found: f32, other: f32, at: u32, column: u32) -> f32 {
    return unary_OP(load_gate(p.starts.z + at)) * found;
}
