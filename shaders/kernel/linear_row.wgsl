// a [m, k] x b^T [n, k] + bias for few rows: k is (m, n, k, _), inner[0] and inner[1] the distances of rows. A workgroup
// makes COLUMNS results of one row; its threads take eight elements in turn.
var<workgroup> parts: array<f32, WORKGROUP * COLUMNS>;

fn activations(at: u32, left: u32) -> Eight {
    var found = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
    if (left >= 8u) {
        found.low = vec4<f32>(load_a(at), load_a(at + 1u), load_a(at + 2u), load_a(at + 3u));
        found.high = vec4<f32>(load_a(at + 4u), load_a(at + 5u), load_a(at + 6u), load_a(at + 7u));
        return found;
    }
    for (var i = 0u; i < left; i++) {
        if (i < 4u) {
            found.low[i] = load_a(at + i);
        } else {
            found.high[i - 4u] = load_a(at + i);
        }
    }
    return found;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tiles = (p.k.y + COLUMNS - 1u) / COLUMNS;
    let task = group_index(group, groups);
    if (task >= tiles * p.k.x) {
        return;
    }
    let row = task / tiles;
    let first_column = task % tiles * COLUMNS;
    let columns = min(COLUMNS, p.k.y - first_column);
    var sums: array<f32, COLUMNS>;
    for (var depth = thread * 8u; depth < p.k.z; depth += WORKGROUP * 8u) {
        let left = p.k.z - depth;
        let x = activations(p.starts.x + row * inner_dim(0u) + depth, left);
        for (var c = 0u; c < columns; c++) {
            sums[c] += dot8(x, load8(p.starts.y + (first_column + c) * inner_dim(1u) + depth, left));
        }
    }
    for (var c = 0u; c < COLUMNS; c++) {
        parts[c * WORKGROUP + thread] = sums[c];
    }
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            for (var c = 0u; c < COLUMNS; c++) {
                parts[c * WORKGROUP + thread] += parts[c * WORKGROUP + thread + width];
            }
        }
        workgroupBarrier();
    }
    if (thread < columns) {
        let column = first_column + thread;
        store(row * p.k.y + column, parts[thread * WORKGROUP] + bias(column));
    }
}
