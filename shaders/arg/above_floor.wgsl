fn is_kept(line: u32, logit: f32) -> bool {
    return order_of(logit) >= load_floor(line);
}
