// The third operand, which lies as the result does.
fn added(line: u32, i: u32) -> f32 {
    return load_c(p.starts.z + line * p.k.y + i);
}
