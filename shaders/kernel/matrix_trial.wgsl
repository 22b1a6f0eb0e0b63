// Do matrix units multiply, and what lies where it should? One product of whole numbers, two slices deep.
const DISTANCE: u32 = 40u;
const AREA: u32 = MATRIX_ROWS * MATRIX_COLUMNS;
var<workgroup> left: array<ELEMENT, MATRIX_ROWS * DISTANCE>;
var<workgroup> right: array<ELEMENT, MATRIX_COLUMNS * DISTANCE>;
var<workgroup> results: array<f32, AREA>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) subgroup: u32) {
    for (var i = thread; i < MATRIX_ROWS * DISTANCE; i += WORKGROUP) {
        left[i] = ELEMENT(f32(i * 7u % 31u) - 15.0);
    }
    for (var i = thread; i < MATRIX_COLUMNS * DISTANCE; i += WORKGROUP) {
        right[i] = ELEMENT(f32(i * 5u % 29u) - 14.0);
    }
    for (var i = thread; i < AREA; i += WORKGROUP) {
        results[i] = f32(i);
    }
    workgroupBarrier();
    if (subgroup == 0u) {
        var sum = sum_at(0u);
        sum = with_product(left_at(0u), right_at(0u), sum);
        sum = with_product(left_at(MATRIX_DEPTH), right_at(MATRIX_DEPTH), sum);
        put(sum, 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < AREA; i += WORKGROUP) {
        store(i, results[i]);
    }
}
