fn finished(found: f32, other: f32, at: u32, column: u32) -> f32 {
    return found + load_bias(p.starts.z + column * inner_dim(7u));
}
