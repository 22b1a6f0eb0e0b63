// a [m, k] x b^T [n, k] for many rows: k is (m, n, k, distance of rows of the result), inner[0] and inner[1] are the distances of
// rows of a and b, inner[2] is the first column in the result. A workgroup makes 64 x 64 results of pieces 32 deep; each thread
// brings 8 elements of both and makes 4 x 4 results. Four elements of a row are read at once, and rows are turned against each
// other, so that threads at different rows read from different banks.
var<workgroup> left: array<vec4<f32>, 512>;
var<workgroup> right: array<Held, 512>;

fn place(row: u32, four: u32) -> u32 {
    return row * 8u + (four ^ (row & 7u));
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) at: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first_row = group.y * 64u;
    let first_column = group.x * 64u;
    let line = thread / 4u;
    let along = thread % 4u * 2u;
    var sums: array<vec4<f32>, 4>;
    for (var first = 0u; first < p.k.z; first += 32u) {
        let depth = first + along * 4u;
        let x = activations(first_row + line, depth);
        var w = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
        if (first_column + line < p.k.y && depth < p.k.z) {
            w = load8_b(p.starts.y + (first_column + line) * inner_dim(1u) + depth, p.k.z - depth);
        }
        left[place(line, along)] = x.low;
        left[place(line, along + 1u)] = x.high;
        right[place(line, along)] = held(w.low);
        right[place(line, along + 1u)] = held(w.high);
        workgroupBarrier();
        for (var four = 0u; four < 8u; four++) {
            let b = mat4x4<f32>(
                value(right[place(at.x, four)]),
                value(right[place(at.x + 16u, four)]),
                value(right[place(at.x + 32u, four)]),
                value(right[place(at.x + 48u, four)]),
            );
            for (var r = 0u; r < 4u; r++) {
                sums[r] += left[place(at.y * 4u + r, four)] * b;
            }
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        let row = first_row + at.y * 4u + r;
        for (var c = 0u; c < 4u; c++) {
            let column = first_column + at.x + c * 16u;
            if (row < p.k.x && column < p.k.y) {
                let to = row * p.k.w + inner_dim(2u) + column;
                store(to, finished(sums[r][c], 0.0, to, column));
            }
        }
    }
}
