// As floats.
fn load8_NAME(at: u32, left: u32) -> Eight {
    let found = packed8_NAME(at);
    return Eight(
        found.scale * signed_bytes_of(found.bytes.x) + found.offset,
        found.scale * signed_bytes_of(found.bytes.y) + found.offset,
    );
}
