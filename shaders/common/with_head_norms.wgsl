// Norms of the heads of queries and of keys.
fn norm_weight(is_query: bool, i: u32) -> f32 {
    if (is_query) {
        return load_d(stride(2u, 0u) + i * stride(2u, 1u));
    }
    return load_e(stride(3u, 0u) + i * stride(3u, 1u));
}
