alias R = i32;
@group(0) @binding(SLOT) var<storage, read_write> result: array<i32>;

fn store(i: u32, v: i32) {
    result[i] = v;
}
