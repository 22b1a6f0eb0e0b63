fn finished(found: f32, other: f32, at: u32, column: u32) -> f32 {
    return found;
}
