// Products of rows of a with rows of weights, for few rows of a: k is (rows of a, depth, columns of the result, distance of
// rows of a). Of weight j the numbers strides[j] are: start, distance of rows, columns, and the first of its columns in the
// result. A workgroup makes COLUMNS results of one row and one weight (GATED: of two weights, one being the other's gate);
// its threads take eight elements in turn. Each weight is read once for each row.
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let task = group_index(group, groups);
    if (task >= p.count) {
        return;
    }
    let tiles = p.count / p.k.x;
    let row = task / tiles;
    var tile = task % tiles;
    var which = 0u;
    for (; which + 1u < WEIGHTS; which++) {
        let own = (p.strides[which].z + COLUMNS - 1u) / COLUMNS;
        if (tile < own) {
            break;
        }
        tile -= own;
    }
    let weight = p.strides[which];
    let first = tile * COLUMNS;
    var sums: array<f32, SUMS>;
    for (var depth = thread * 8u; depth < p.k.y; depth += WORKGROUP * 8u) {
        let left = p.k.y - depth;
        let own = load8_a(p.starts.x + row * p.k.w + depth, left);
        if (NORM) {
            sums[SUMS - 1u] += dot8(own, own);
        }
        let x = scaled(own, depth, left);
        for (var c = 0u; c < COLUMNS; c++) {
            // The last tile reads its last row again for the columns that it lacks.
            let column = min(first + c, weight.z - 1u);
            sums[c] += dot8(x, weights(which, weight.x + column * weight.y + depth, left));
            if (GATED) {
                let other = p.strides[1];
                sums[COLUMNS + c] += dot8(x, weights(1u, other.x + column * other.y + depth, left));
            }
        }
    }
    for (var c = 0u; c < SUMS; c++) {
        put(c, thread, sums[c]);
    }
    settle(thread);
    if (thread < COLUMNS && first + thread < weight.z) {
        var scale = 1.0;
        if (NORM) {
            scale = 1.0 / sqrt(sum_of(SUMS - 1u) / f32(p.k.y) + p.f.x);
        }
        let found = scale * sum_of(thread);
        var other = 0.0;
        if (GATED) {
            other = scale * sum_of(COLUMNS + thread);
        }
        let column = weight.w + first + thread;
        let at = row * p.k.z + column;
        store(at, finished(found, other, at, column));
    }
}
