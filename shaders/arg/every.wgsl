fn candidate(line: u32, i: u32) -> u32 {
    return i;
}
