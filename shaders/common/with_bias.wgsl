// The third operand: a vector whose elements are `inner[7]` apart.
fn added(line: u32, i: u32) -> f32 {
    return load_c(p.starts.z + i * inner_dim(7u));
}
