// What shared workgroups have found, p.k.w of each line.
fn candidate(line: u32, i: u32) -> u32 {
    return load_found(line * p.k.w + i);
}
