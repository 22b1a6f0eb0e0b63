// Logits by the temperature, f.x being its inverse, and Gumbel noise; those under the line's floor do not count. inner: seed
// and number of the draw, two words each.
fn value(line: u32, i: u32) -> f32 {
    let logit = load_a(offset_of(0u, line) + i * p.k.x);
    if (!is_kept(line, logit)) {
        return lowest();
    }
    let at = line * p.k.y + i;
    let key = vec2<u32>(inner_dim(0u), inner_dim(1u));
    let words = philox(key, vec4<u32>(at >> 2u, 0u, inner_dim(2u), inner_dim(3u)));
    let uniform_number = f32(words[at & 3u] >> 8u) * 5.9604644775390625e-8;
    return logit * p.f.x - logarithm(-logarithm(uniform_number));
}
