// Plain floats: eight from `at` on, of `left` that the row still has; zeros beyond.
fn load8_NAME(at: u32, left: u32) -> Eight {
    if (left >= 8u) {
        return Eight(
            vec4<f32>(load_NAME(at), load_NAME(at + 1u), load_NAME(at + 2u), load_NAME(at + 3u)),
            vec4<f32>(load_NAME(at + 4u), load_NAME(at + 5u), load_NAME(at + 6u), load_NAME(at + 7u)),
        );
    }
    var found = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
    for (var i = 0u; i < left; i++) {
        if (i < 4u) {
            found.low[i] = load_NAME(at + i);
        } else {
            found.high[i - 4u] = load_NAME(at + i);
        }
    }
    return found;
}
