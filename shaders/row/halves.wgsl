// Rows of the left as `halve_rows` has made them, four words at once: the factor in the first four, then f16, to a whole slice.
fn activations(row: u32, depth: u32) -> Eight {
    if (row >= p.k.x) {
        return Eight(vec4<f32>(0.0), vec4<f32>(0.0));
    }
    let words = load_a(row * inner_dim(0u) / 4u + 1u + depth / 8u);
    return Eight(
        vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y)),
        vec4<f32>(unpack2x16float(words.z), unpack2x16float(words.w)),
    );
}

fn undone(row: u32, sum: f32) -> f32 {
    return sum * bitcast<f32>(load_a(row * inner_dim(0u) / 4u).x);
}
