// The fourth operand, added to the scores.
fn mask(batch: u32, head: u32, query: u32, key: u32) -> f32 {
    return load_d(p.starts.w + batch * stride(3u, 0u) + head * stride(3u, 1u) + query * stride(3u, 2u) + key * stride(3u, 3u));
}
