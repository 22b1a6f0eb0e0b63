// A workgroup for each query row of q a [b, h, t, d], k b [b, g, s, d], v c [b, g, s, e]. Keys pass in blocks of a workgroup's
// size: each thread makes the score of one key, the largest score and the sum are kept up to date (Milakov & Gimelshein
// 2018), and then each thread adds up columns of v, COLUMNS of them at most.
// dims: b, h, t, d; inner: g, s, e, window (0: none); f: scale, softcap (0: none); CAUSAL.
// SPLIT: the keys of a row are shared by k.x workgroups, k.y keys each, whose results attention_join.wgsl puts together: of
// each the columns not yet divided by the sum, the largest score and the sum.
var<workgroup> query: array<f32, QUERY>;
var<workgroup> scores: array<f32, WORKGROUP>;
var<workgroup> parts: array<f32, WORKGROUP>;

fn element(operand: u32, batch: u32, head: u32, row: u32, column: u32) -> u32 {
    return p.starts[operand] + batch * stride(operand, 0u) + head * stride(operand, 1u) + row * stride(operand, 2u)
        + column * stride(operand, 3u);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = group_index(group, groups);
    if (place >= p.count) {
        return;
    }
    var task = place;
    if (SPLIT) {
        task = place / p.k.x;
    }
    let size = dim(3u);
    let row = task % dim(2u);
    let head = task / dim(2u) % dim(1u);
    let batch = task / dim(2u) / dim(1u);
    let keys = inner_dim(1u);
    let columns = inner_dim(2u);
    let key_head = head / (dim(1u) / inner_dim(0u));
    for (var i = thread; i < size; i += WORKGROUP) {
        query[i] = load_a(element(0u, batch, head, row, i)) * p.f.x;
    }
    var end = keys;
    if (CAUSAL) {
        end = keys + row + 1u;
        end = select(0u, end - dim(2u), end > dim(2u));
    }
    var begin = 0u;
    if (inner_dim(3u) > 0u && end > inner_dim(3u)) {
        begin = end - inner_dim(3u);
    }
    if (SPLIT) {
        begin += place % p.k.x * p.k.y;
        end = min(end, begin + p.k.y);
    }
    var top = lowest();
    var sum = 0.0;
    var totals: array<f32, COLUMNS>;
    workgroupBarrier();
    for (var first = begin; first < end; first += WORKGROUP) {
        let key = first + thread;
        var score = lowest();
        if (key < end) {
            score = 0.0;
            let origin = element(1u, batch, key_head, key, 0u);
            for (var i = 0u; i < size; i++) {
                score += query[i] * load_b(origin + i * stride(1u, 3u));
            }
            if (p.f.y > 0.0) {
                score = p.f.y * hyperbolic_tangent(score / p.f.y);
            }
            score += mask(batch, head, row, key);
        }
        parts[thread] = score;
        workgroupBarrier();
        for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
            if (thread < width) {
                parts[thread] = larger(parts[thread], parts[thread + width]);
            }
            workgroupBarrier();
        }
        let new_top = larger(top, parts[0]);
        workgroupBarrier();
        // Where all scores so far are -infinity, nothing is subtracted, and all count nothing.
        let shift = select(new_top, 0.0, new_top == lowest());
        let weight = exp(score - shift);
        scores[thread] = weight;
        parts[thread] = weight;
        workgroupBarrier();
        for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
            if (thread < width) {
                parts[thread] += parts[thread + width];
            }
            workgroupBarrier();
        }
        let older = exp(top - shift);
        sum = sum * older + parts[0];
        top = new_top;
        let count = min(WORKGROUP, end - first);
        for (var c = 0u; c < COLUMNS; c++) {
            let column = c * WORKGROUP + thread;
            if (column < columns) {
                var total = totals[c] * older;
                let origin = element(2u, batch, key_head, first, column);
                for (var j = 0u; j < count; j++) {
                    total += scores[j] * load_c(origin + j * stride(2u, 2u));
                }
                totals[c] = total;
            }
        }
        workgroupBarrier();
    }
    for (var c = 0u; c < COLUMNS; c++) {
        let column = c * WORKGROUP + thread;
        if (column < columns) {
            if (SPLIT) {
                store(place * (columns + 2u) + column, totals[c]);
            } else {
                store(task * columns + column, select(totals[c] / sum, 0.0, sum == 0.0));
            }
        }
    }
    if (SPLIT && thread == 0u) {
        store(place * (columns + 2u) + columns, top);
        store(place * (columns + 2u) + columns + 1u, sum);
    }
}
