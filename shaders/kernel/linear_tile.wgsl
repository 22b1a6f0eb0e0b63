// a [m, k] x b^T [n, k] + bias or residual for many rows: k is (m, n, k, _), inner[0] and inner[1] the distances of rows. A workgroup makes
// 64 x 64 results of pieces 32 deep; each thread brings 8 elements of both and makes 4 x 4 results.
var<workgroup> left: array<f32, 2048>;
var<workgroup> right: array<f32, 2048>;

fn activations(row: u32, depth: u32) -> Eight {
    var found = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
    if (row < p.k.x) {
        for (var i = 0u; i < min(8u, p.k.z - min(depth, p.k.z)); i++) {
            let v = load_a(p.starts.x + row * inner_dim(0u) + depth + i);
            if (i < 4u) {
                found.low[i] = v;
            } else {
                found.high[i - 4u] = v;
            }
        }
    }
    return found;
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
    let along = thread % 4u * 8u;
    var sums: array<vec4<f32>, 4>;
    for (var first = 0u; first < p.k.z; first += 32u) {
        let depth = first + along;
        let x = activations(first_row + line, depth);
        var w = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
        if (first_column + line < p.k.y && depth < p.k.z) {
            w = load8_b(p.starts.y + (first_column + line) * inner_dim(1u) + depth, p.k.z - depth);
        }
        for (var i = 0u; i < 4u; i++) {
            left[(along + i) * 64u + line] = x.low[i];
            left[(along + 4u + i) * 64u + line] = x.high[i];
            right[(along + i) * 64u + line] = w.low[i];
            right[(along + 4u + i) * 64u + line] = w.high[i];
        }
        workgroupBarrier();
        for (var d = 0u; d < 32u; d++) {
            let origin = d * 64u + at.x;
            let b = vec4<f32>(right[origin], right[origin + 16u], right[origin + 32u], right[origin + 48u]);
            for (var r = 0u; r < 4u; r++) {
                sums[r] += left[d * 64u + at.y * 4u + r] * b;
            }
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        let row = first_row + at.y * 4u + r;
        for (var c = 0u; c < 4u; c++) {
            let column = first_column + at.x + c * 16u;
            if (row < p.k.x && column < p.k.y) {
                store(row * p.k.y + column, sums[r][c] + added(row, column));
            }
        }
    }
}
