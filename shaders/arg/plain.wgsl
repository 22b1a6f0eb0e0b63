fn value(line: u32, i: u32) -> T {
    return load_a(offset_of(0u, line) + i * p.k.x);
}
