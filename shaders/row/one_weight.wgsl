fn weights(which: u32, at: u32, left: u32) -> Eight {
    return load8_u(at, left);
}
