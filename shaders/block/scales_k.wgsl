// Scale and minimum, 0 to 63, of group `g` of 8, of the 12 bytes from `at` on (Q4_K and Q5_K).
fn group_scale_NAME(at: u32, g: u32) -> vec2<f32> {
    if (g < 4u) {
        return vec2<f32>(f32(byte_at_NAME(at + g) & 63u), f32(byte_at_NAME(at + 4u + g) & 63u));
    }
    let both = byte_at_NAME(at + 4u + g);
    let scale = (both & 15u) | ((byte_at_NAME(at + g - 4u) >> 6u) << 4u);
    let low = (both >> 4u) | ((byte_at_NAME(at + g) >> 6u) << 4u);
    return vec2<f32>(f32(scale), f32(low));
}
