fn scaled(x: Eight, depth: u32, left: u32) -> Eight {
    return x;
}
