// a [m, k] x b^T [n, k] for many rows by matrix units; k and inner are those of linear_tile. A workgroup makes 64 x 64 results of
// slices 32 deep, in pieces: each is a subgroup's, which keeps its sums in registers.
//
// How many subgroups the workgroup has is known only when it runs. Are there more than pieces, some only help to bring what the
// others multiply; are there fewer, all is gone through again for the pieces that are left. Whether there is a piece for a
// subgroup depends on nothing but the subgroup, so all its threads come to the same matrix operations; how often all is gone
// through depends on what every thread reads at one place, so all of the workgroup come to the same barriers.
const SLICE: u32 = 32u;
// Of rows in workgroup memory: eight rows of f16 begin in different banks.
const DISTANCE: u32 = 40u;
const MATRICES: u32 = PIECE_ROWS * PIECE_COLUMNS;
const PIECES_ALONG: u32 = 64u / (PIECE_COLUMNS * MATRIX_COLUMNS);
const PIECES: u32 = PIECES_ALONG * (64u / (PIECE_ROWS * MATRIX_ROWS));
const AREA: u32 = MATRIX_ROWS * MATRIX_COLUMNS;
var<workgroup> left: array<ELEMENT, 2560>;
var<workgroup> right: array<ELEMENT, 2560>;
// A matrix of each piece.
var<workgroup> results: array<f32, PIECES * AREA>;
var<workgroup> subgroups_here: u32;

fn bring(at: u32, x: Eight, w: Eight) {
    left[at] = ELEMENT(x.low.x);
    left[at + 1u] = ELEMENT(x.low.y);
    left[at + 2u] = ELEMENT(x.low.z);
    left[at + 3u] = ELEMENT(x.low.w);
    left[at + 4u] = ELEMENT(x.high.x);
    left[at + 5u] = ELEMENT(x.high.y);
    left[at + 6u] = ELEMENT(x.high.z);
    left[at + 7u] = ELEMENT(x.high.w);
    right[at] = ELEMENT(w.low.x);
    right[at + 1u] = ELEMENT(w.low.y);
    right[at + 2u] = ELEMENT(w.low.z);
    right[at + 3u] = ELEMENT(w.low.w);
    right[at + 4u] = ELEMENT(w.high.x);
    right[at + 5u] = ELEMENT(w.high.y);
    right[at + 6u] = ELEMENT(w.high.z);
    right[at + 7u] = ELEMENT(w.high.w);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first_row = group.y * 64u;
    let first_column = group.x * 64u;
    if (thread == 0u) {
        subgroups_here = subgroups;
    }
    let at_once = workgroupUniformLoad(&subgroups_here);
    for (var first_piece = 0u; first_piece < PIECES; first_piece += at_once) {
        for (var i = thread; i < AREA; i += WORKGROUP) {
            results[i] = 0.0;
        }
        workgroupBarrier();
        var sums = sums_at(0u);
        let piece = first_piece + subgroup;
        let left_from = piece / PIECES_ALONG * PIECE_ROWS * MATRIX_ROWS * DISTANCE;
        let right_from = piece % PIECES_ALONG * PIECE_COLUMNS * MATRIX_COLUMNS * DISTANCE;
        for (var first = 0u; first < p.k.z; first += SLICE) {
            for (var i = thread; i < 256u; i += WORKGROUP) {
                let line = i / 4u;
                let along = i % 4u * 8u;
                let depth = first + along;
                let x = activations(first_row + line, depth);
                var w = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
                if (first_column + line < p.k.y && depth < p.k.z) {
                    w = load8_b(p.starts.y + (first_column + line) * inner_dim(1u) + depth, p.k.z - depth);
                }
                bring(line * DISTANCE + along, x, w);
            }
            workgroupBarrier();
            if (piece < PIECES) {
                for (var depth = 0u; depth < SLICE; depth += MATRIX_DEPTH) {
                    add_products(&sums, left_from + depth, right_from + depth);
                }
            }
            workgroupBarrier();
        }
        // One matrix of each piece after another is put where all threads share the work of storing it.
        for (var which = 0u; which < MATRICES; which++) {
            if (piece < PIECES) {
                put_one(&sums, which, piece * AREA);
            }
            workgroupBarrier();
            let last_piece = min(first_piece + at_once, PIECES);
            for (var i = first_piece * AREA + thread; i < last_piece * AREA; i += WORKGROUP) {
                let its = i / AREA;
                let within = i % AREA;
                let rows = its / PIECES_ALONG * PIECE_ROWS + which / PIECE_COLUMNS;
                let columns = its % PIECES_ALONG * PIECE_COLUMNS + which % PIECE_COLUMNS;
                let row = first_row + rows * MATRIX_ROWS + within / MATRIX_COLUMNS;
                let column = first_column + columns * MATRIX_COLUMNS + within % MATRIX_COLUMNS;
                if (row < p.k.x && column < p.k.y) {
                    let to = row * p.k.w + inner_dim(2u) + column;
                    store(to, finished(undone(row, results[i]), 0.0, to, column));
                }
            }
            workgroupBarrier();
        }
    }
}
