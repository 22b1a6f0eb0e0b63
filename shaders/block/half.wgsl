// f16, two to a word: eight from `at` on, of `left` that the row still has; zeros beyond.
fn load8_NAME(at: u32, left: u32) -> Eight {
    if (left >= 8u && (at & 1u) == 0u) {
        let i = at >> 1u;
        return Eight(
            four_halves(vec2<u32>(NAME_values[i], NAME_values[i + 1u])),
            four_halves(vec2<u32>(NAME_values[i + 2u], NAME_values[i + 3u])),
        );
    }
    var found = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
    for (var i = 0u; i < min(left, 8u); i++) {
        if (i < 4u) {
            found.low[i] = load_NAME(at + i);
        } else {
            found.high[i - 4u] = load_NAME(at + i);
        }
    }
    return found;
}
