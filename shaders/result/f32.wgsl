alias R = f32;
@group(0) @binding(SLOT) var<storage, read_write> result: array<f32>;

fn store(i: u32, v: f32) {
    result[i] = v;
}
