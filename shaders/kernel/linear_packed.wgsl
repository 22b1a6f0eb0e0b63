// Rows of a, packed (`pack_rows.wgsl`), times rows of the block format b [n, k], for many rows: k is (m, n, k, distance of rows of
// the result), inner[1] is the distance of rows of b, inner[2] the first column in the result. A workgroup makes 64 x 64 results of
// pieces 32 deep; each thread brings 16 bytes of a and 8 weights, and makes 4 x 4 results. Weights of GROUP neighbours have the same
// scale and, with OFFSETS, the same offset.
//
// Sums of products with upper and lower bytes are exact: 32 * 127 * 128 * 257 < 2^31.
const GROUPS: u32 = 32u / GROUP;

var<workgroup> left: array<vec4<u32>, 256>;
var<workgroup> left_scales: array<vec4<f32>, 64>;
var<workgroup> right: array<vec2<u32>, 256>;
var<workgroup> right_scales: array<vec2<f32>, 64u * GROUPS>;

fn dots(a: vec4<u32>, b: vec4<u32>) -> i32 {
    return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

// Sixteen elements of each of a thread's columns.
struct Columns {
    first: vec4<u32>,
    second: vec4<u32>,
    third: vec4<u32>,
    fourth: vec4<u32>,
}

fn column(half: u32, i: u32) -> vec4<u32> {
    return vec4<u32>(right[half * 128u + i], right[half * 128u + 64u + i]);
}

fn columns(half: u32, i: u32) -> Columns {
    return Columns(column(half, i), column(half, i + 16u), column(half, i + 32u), column(half, i + 48u));
}

// Scales of a group of each of a thread's columns, or offsets.
fn scales(which: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(
        right_scales[i][which],
        right_scales[i + 16u][which],
        right_scales[i + 32u][which],
        right_scales[i + 48u][which],
    );
}

// Sixteen elements of a row with those of four columns.
fn products(upper: vec4<u32>, lower: vec4<u32>, b: Columns) -> vec4<i32> {
    return 256 * vec4<i32>(dots(upper, b.first), dots(upper, b.second), dots(upper, b.third), dots(upper, b.fourth))
        + vec4<i32>(dots(lower, b.first), dots(lower, b.second), dots(lower, b.third), dots(lower, b.fourth));
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
    let along = thread % 4u;
    let blocks = p.k.z / 32u;
    let row_there = first_row + line < p.k.x;
    let column_there = first_column + line < p.k.y;
    var sums: array<vec4<f32>, 4>;
    for (var block = 0u; block < blocks; block++) {
        var x = vec4<u32>(0u);
        var own_scales = vec4<u32>(0u);
        if (row_there) {
            let origin = ((first_row + line) * blocks + block) * 5u;
            x = load_a(origin + along);
            if (along == 0u) {
                own_scales = load_a(origin + 4u);
            }
        }
        var w = Packed(vec2<u32>(0u), 0.0, 0.0);
        if (column_there) {
            w = packed8_b(p.starts.y + (first_column + line) * inner_dim(1u) + block * 32u + along * 8u);
        }
        left[along * 64u + line] = x;
        right[along * 64u + line] = w.bytes;
        if (along == 0u) {
            left_scales[line] = bitcast<vec4<f32>>(own_scales);
        }
        if (along * 8u % GROUP == 0u) {
            right_scales[along * 8u / GROUP * 64u + line] = vec2<f32>(w.scale, w.offset);
        }
        workgroupBarrier();
        let b = columns(0u, at.x);
        let c = columns(1u, at.x);
        let last = (GROUPS - 1u) * 64u + at.x;
        let scale = scales(0u, at.x);
        let last_scale = scales(0u, last);
        for (var r = 0u; r < 4u; r++) {
            let row = at.y * 4u + r;
            let own = left_scales[row];
            let early = products(left[row], left[128u + row], b);
            let late = products(left[64u + row], left[192u + row], c);
            if (GROUPS == 1u) {
                sums[r] += own.x * scale * vec4<f32>(early + late);
            } else {
                sums[r] += own.x * (scale * vec4<f32>(early) + last_scale * vec4<f32>(late));
            }
            if (OFFSETS) {
                sums[r] += own.y * scales(1u, at.x) + own.z * scales(1u, last);
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
