alias R = u32;
@group(0) @binding(SLOT) var<storage, read_write> result: array<u32>;

fn store(i: u32, v: u32) {
    result[i] = v;
}
