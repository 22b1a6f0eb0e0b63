// What becomes of a total of `count` elements; of none: 0 / 0.
fn finished(v: f32, count: u32) -> f32 {
    return select(v / max(f32(count), 1.0), nan(), count == 0u);
}
