// a [.., m, k] x b [.., k, n], any strides: k is (m, n, k); `inner` the strides of a's rows and columns and of b's; `dims`
// the batch. A workgroup makes 64 x 64 results of pieces 16 deep, a thread 4 x 4 of them.
var<workgroup> left: array<T, 1024>;
var<workgroup> right: array<T, 1024>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) at: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first_row = group.y * 64u;
    let first_column = group.x * 64u;
    for (var batch = group.z; batch < p.count; batch += groups.z) {
        let a_from = offset_of(0u, batch);
        let b_from = offset_of(1u, batch);
        var sums: array<array<T, 4>, 4>;
        for (var first = 0u; first < p.k.z; first += 16u) {
            for (var j = thread; j < 1024u; j += 256u) {
                // Which index runs fastest is that which lies closest in memory most often.
                let a_row = j / 16u;
                let a_depth = j % 16u;
                var a_value = T(0);
                if (first_row + a_row < p.k.x && first + a_depth < p.k.z) {
                    a_value = load_a(a_from + (first_row + a_row) * inner_dim(0u) + (first + a_depth) * inner_dim(1u));
                }
                left[a_depth * 64u + a_row] = a_value;
                let b_column = j % 64u;
                let b_depth = j / 64u;
                var b_value = T(0);
                if (first_column + b_column < p.k.y && first + b_depth < p.k.z) {
                    b_value = load_b(b_from + (first + b_depth) * inner_dim(2u) + (first_column + b_column) * inner_dim(3u));
                }
                right[j] = b_value;
            }
            workgroupBarrier();
            for (var depth = 0u; depth < 16u; depth++) {
                for (var r = 0u; r < 4u; r++) {
                    let a_value = left[depth * 64u + at.y * 4u + r];
                    for (var c = 0u; c < 4u; c++) {
                        sums[r][c] += a_value * right[depth * 64u + at.x + c * 16u];
                    }
                }
            }
            workgroupBarrier();
        }
        for (var r = 0u; r < 4u; r++) {
            let row = first_row + at.y * 4u + r;
            for (var c = 0u; c < 4u; c++) {
                let column = first_column + at.x + c * 16u;
                if (row < p.k.x && column < p.k.y) {
                    store((batch * p.k.x + row) * p.k.y + column, sums[r][c]);
                }
            }
        }
    }
}
