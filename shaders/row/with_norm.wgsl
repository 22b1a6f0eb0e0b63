// Times the norm's weights, which begin at starts.y.
fn scaled(x: Eight, depth: u32, left: u32) -> Eight {
    let scale = load8_norm(p.starts.y + depth, left);
    return Eight(x.low * scale.low, x.high * scale.high);
}
