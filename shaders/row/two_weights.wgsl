// `which` is the same for a whole workgroup.
fn weights(which: u32, at: u32, left: u32) -> Eight {
    if (which == 0u) {
        return load8_u(at, left);
    }
    return load8_v(at, left);
}
