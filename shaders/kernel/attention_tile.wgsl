// Attention of many queries: as attention.wgsl, a workgroup for each ROWS queries of a head, which read a block of KEYS keys and
// then of values once for all of them (Dao et al. 2022). SIZE is the larger of the heads' sizes.
var<workgroup> query: array<f32, ROWS * SIZE>;
// Keys, then values.
var<workgroup> block: array<f32, KEYS * SIZE>;
var<workgroup> scores: array<f32, ROWS * KEYS>;
// Of each row: the largest score, the sum of the weights, and what older weights are worth now.
var<workgroup> tops: array<f32, ROWS>;
var<workgroup> sums: array<f32, ROWS>;
var<workgroup> olders: array<f32, ROWS>;

fn element(operand: u32, batch: u32, head: u32, row: u32, column: u32) -> u32 {
    return p.starts[operand] + batch * stride(operand, 0u) + head * stride(operand, 1u) + row * stride(operand, 2u)
        + column * stride(operand, 3u);
}

// One past the last key that a row sees.
fn end_of(row: u32) -> u32 {
    let keys = inner_dim(1u);
    if (!CAUSAL) {
        return keys;
    }
    let end = keys + row + 1u;
    return select(0u, end - dim(2u), end > dim(2u));
}

fn begin_of(end: u32) -> u32 {
    let window = inner_dim(3u);
    return select(0u, end - window, window > 0u && end > window);
}

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
    let size = dim(3u);
    let columns = inner_dim(2u);
    let tiles = (dim(2u) + ROWS - 1u) / ROWS;
    let first_row = task % tiles * ROWS;
    let head = task / tiles % dim(1u);
    let batch = task / tiles / dim(1u);
    let key_head = head / (dim(1u) / inner_dim(0u));
    for (var i = thread; i < ROWS * size; i += WORKGROUP) {
        let row = first_row + i / size;
        var v = 0.0;
        if (row < dim(2u)) {
            v = load_a(element(0u, batch, head, row, i % size)) * p.f.x;
        }
        query[i] = v;
    }
    if (thread < ROWS) {
        tops[thread] = lowest();
        sums[thread] = 0.0;
    }
    let last_end = end_of(min(first_row + ROWS, dim(2u)) - 1u);
    var totals: array<f32, ROWS * COLUMNS>;
    for (var first = begin_of(end_of(first_row)); first < last_end; first += KEYS) {
        let count = min(KEYS, last_end - first);
        workgroupBarrier();
        for (var i = thread; i < count * size; i += WORKGROUP) {
            block[i] = load_b(element(1u, batch, key_head, first + i / size, i % size));
        }
        workgroupBarrier();
        for (var i = thread; i < ROWS * KEYS; i += WORKGROUP) {
            let row = first_row + i / KEYS;
            let key = first + i % KEYS;
            let end = end_of(row);
            var score = lowest();
            if (row < dim(2u) && key < end && key >= begin_of(end)) {
                score = 0.0;
                for (var j = 0u; j < size; j++) {
                    score += query[i / KEYS * size + j] * block[i % KEYS * size + j];
                }
                if (p.f.y > 0.0) {
                    score = p.f.y * hyperbolic_tangent(score / p.f.y);
                }
                score += mask(batch, head, row, key);
            }
            scores[i] = score;
        }
        workgroupBarrier();
        for (var i = thread; i < count * columns; i += WORKGROUP) {
            block[i] = load_c(element(2u, batch, key_head, first + i / columns, i % columns));
        }
        if (thread < ROWS) {
            var top = tops[thread];
            for (var j = 0u; j < KEYS; j++) {
                top = larger(top, scores[thread * KEYS + j]);
            }
            // Where all scores so far are -infinity, nothing is subtracted, and all count nothing.
            let shift = select(top, 0.0, top == lowest());
            let older = exp(tops[thread] - shift);
            var sum = sums[thread] * older;
            for (var j = 0u; j < KEYS; j++) {
                let weight = exp(scores[thread * KEYS + j] - shift);
                scores[thread * KEYS + j] = weight;
                sum += weight;
            }
            tops[thread] = top;
            sums[thread] = sum;
            olders[thread] = older;
        }
        workgroupBarrier();
        for (var r = 0u; r < ROWS; r++) {
            for (var c = 0u; c < COLUMNS; c++) {
                let column = c * WORKGROUP + thread;
                if (column < columns) {
                    var total = totals[r * COLUMNS + c] * olders[r];
                    for (var j = 0u; j < count; j++) {
                        total += scores[r * KEYS + j] * block[j * columns + column];
                    }
                    totals[r * COLUMNS + c] = total;
                }
            }
        }
    }
    workgroupBarrier();
    for (var r = 0u; r < ROWS; r++) {
        let row = first_row + r;
        for (var c = 0u; c < COLUMNS; c++) {
            let column = c * WORKGROUP + thread;
            if (row < dim(2u) && column < columns) {
                let at = ((batch * dim(1u) + head) * dim(2u) + row) * columns + column;
                store(at, select(totals[r * COLUMNS + c] / sums[r], 0.0, sums[r] == 0.0));
            }
        }
    }
}
