// Rows of a for packed dot products: k is (rows, depth, _, distance of rows). Of each 32 elements five times four words are made:
// the upper bytes of 16 bits, signed, in eight words, the lower bytes, signed too, in eight, the scale, and the sums of each half as
// they are rounded (so that weights with an offset err by no more than others).
// A thread takes four elements. A block with an infinity or NaN has the scale NaN, so that every product with it is NaN.
var<workgroup> magnitudes: array<u32, WORKGROUP>;
var<workgroup> totals: array<i32, WORKGROUP>;

// The largest number of 16 bits whose upper byte, rounded, is at most 127.
const MOST: f32 = 32639.0;
// Blocks of nothing larger count as zeros: the inverse of their scale may be infinite.
const LEAST: f32 = 1e-30;

fn word(bytes: vec4<i32>) -> u32 {
    let low = bitcast<vec4<u32>>(bytes) & vec4<u32>(0xffu);
    return low.x | (low.y << 8u) | (low.z << 16u) | (low.w << 24u);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let four = thread_index(group, groups, thread);
    let fours = p.k.y / 4u;
    var x = vec4<f32>(0.0);
    if (four < p.count) {
        let at = p.starts.x + four / fours * p.k.w + four % fours * 4u;
        x = vec4<f32>(load_a(at), load_a(at + 1u), load_a(at + 2u), load_a(at + 3u));
    }
    // By their bits: those of infinity and NaN are the largest.
    let bits = bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu);
    magnitudes[thread] = max(max(bits.x, bits.y), max(bits.z, bits.w));
    workgroupBarrier();
    let first = thread / 8u * 8u;
    var largest = 0u;
    for (var i = 0u; i < 8u; i++) {
        largest = max(largest, magnitudes[first + i]);
    }
    var scale = bitcast<f32>(largest) / MOST;
    var inverse = MOST / bitcast<f32>(largest);
    if (largest >= 0x7f800000u) {
        scale = nan();
        inverse = 0.0;
        x = vec4<f32>(0.0);
    } else if (bitcast<f32>(largest) < LEAST) {
        scale = 0.0;
        inverse = 0.0;
    }
    let q = vec4<i32>(round(x * inverse));
    totals[thread] = (q.x + q.y) + (q.z + q.w);
    workgroupBarrier();
    if (four >= p.count) {
        return;
    }
    let upper = (q + vec4<i32>(128)) >> vec4<u32>(8u);
    let within = thread - first;
    let to = four / 8u * 20u;
    store(to + within, word(upper));
    store(to + 8u + within, word(q));
    if (within == 0u) {
        store(to + 16u, bitcast<u32>(scale));
    } else if (within < 3u) {
        let half = first + (within - 1u) * 4u;
        let sum = (totals[half] + totals[half + 1u]) + (totals[half + 2u] + totals[half + 3u]);
        store(to + 16u + within, bitcast<u32>(scale * f32(sum)));
    }
}
