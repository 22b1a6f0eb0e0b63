alias R = u32;
@group(0) @binding(SLOT) var<storage, read_write> result: array<u32>;

// Held in a word each; of larger numbers the low bits.
fn store(i: u32, v: u32) {
    result[i] = v & 0xffu;
}
