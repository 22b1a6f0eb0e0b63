fn is_kept(line: u32, logit: f32) -> bool {
    return true;
}
