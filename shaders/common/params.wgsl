// The numbers of one dispatch: 256 bytes, the alignment of dynamic offsets into the one uniform buffer.
struct Params {
    // Results, or lines: what threads or workgroups are numbered by.
    count: u32,
    rank: u32,
    // Elements that one result is made of.
    inner_count: u32,
    inner_rank: u32,
    // What the kernel says of them.
    k: vec4<u32>,
    f: vec4<f32>,
    // First element of each operand.
    starts: vec4<u32>,
    dims: array<vec4<u32>, 2>,
    inner: array<vec4<u32>, 2>,
    // Eight for each of four operands.
    strides: array<vec4<u32>, 8>,
}
@group(0) @binding(0) var<uniform> p: Params;

fn dim(d: u32) -> u32 {
    return p.dims[d >> 2u][d & 3u];
}

fn inner_dim(d: u32) -> u32 {
    return p.inner[d >> 2u][d & 3u];
}

fn stride(operand: u32, d: u32) -> u32 {
    return p.strides[2u * operand + (d >> 2u)][d & 3u];
}

// Where the operand keeps element `index` of the shape `dims`.
fn offset_of(operand: u32, index: u32) -> u32 {
    var offset = p.starts[operand];
    if (!STRIDED) {
        return offset + index;
    }
    var rest = index;
    for (var d = p.rank; d > 0u; d--) {
        let size = dim(d - 1u);
        offset += (rest % size) * stride(operand, d - 1u);
        rest /= size;
    }
    return offset;
}

// How far from a result's first element its element `index` of the shape `inner` is; steps are those of `operand`.
fn inner_offset(operand: u32, index: u32) -> u32 {
    var offset = 0u;
    var rest = index;
    for (var d = p.inner_rank; d > 0u; d--) {
        let size = inner_dim(d - 1u);
        offset += (rest % size) * stride(operand, d - 1u);
        rest /= size;
    }
    return offset;
}

// Number of a workgroup in a grid that is folded, since no side of it may be longer than 65535.
fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

fn thread_index(group: vec3<u32>, groups: vec3<u32>, thread: u32) -> u32 {
    return group_index(group, groups) * WORKGROUP + thread;
}

// 0, which no compiler knows to be 0: infinities and NaN may not be written as constants.
fn unknown_zero() -> u32 {
    return p.count & 0u;
}
