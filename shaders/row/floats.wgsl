// Rows of the left as they are.
fn activations(row: u32, depth: u32) -> Eight {
    if (row >= p.k.x || depth >= p.k.z) {
        return Eight(vec4<f32>(0.0), vec4<f32>(0.0));
    }
    return load8_a(p.starts.x + row * inner_dim(0u) + depth, p.k.z - depth);
}

fn undone(row: u32, sum: f32) -> f32 {
    return sum;
}
