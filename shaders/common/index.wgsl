// An index among `size` elements: no kernel can report that it is out of range, so it is brought into it.
fn int_index(v: i32, size: u32) -> u32 {
    return min(u32(max(v, 0)), size - 1u);
}

fn uint_index(v: u32, size: u32) -> u32 {
    return min(v, size - 1u);
}

// Is this the index `at`?
fn int_is(v: i32, at: u32) -> bool {
    return v >= 0 && u32(v) == at;
}

fn uint_is(v: u32, at: u32) -> bool {
    return v == at;
}
