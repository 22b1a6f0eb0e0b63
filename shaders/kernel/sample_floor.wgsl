// The order (see order_of) of the least logit that the filters of sampling keep, of each line of k.y logits, k.x apart: of the
// k.z likeliest (0: of all), those that together reach the probability f.y, and are at least f.z times as likely as the
// likeliest. f.x is the inverse of the temperature. The bits of the floor are found one by one, by what is above it.
var<workgroup> counts: array<u32, WORKGROUP>;
var<workgroup> masses: array<f32, WORKGROUP>;

// Of what is at or above a floor: how many, and how heavy, the heaviest weighing 1.
struct Above {
    count: u32,
    mass: f32,
}

fn above(origin: u32, thread: u32, least: u32, top: f32) -> Above {
    var count = 0u;
    var mass = 0.0;
    for (var i = thread; i < p.k.y; i += WORKGROUP) {
        let v = load_a(origin + i * p.k.x);
        if (order_of(v) >= least) {
            count++;
            mass += exp((v - top) * p.f.x);
        }
    }
    counts[thread] = count;
    masses[thread] = mass;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            counts[thread] += counts[thread + width];
            masses[thread] += masses[thread + width];
        }
        workgroupBarrier();
    }
    let found = Above(counts[0], masses[0]);
    workgroupBarrier();
    return found;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let line = group_index(group, groups);
    if (line >= p.count) {
        return;
    }
    let origin = offset_of(0u, line);
    var top = lowest();
    for (var i = thread; i < p.k.y; i += WORKGROUP) {
        top = larger(top, load_a(origin + i * p.k.x));
    }
    masses[thread] = top;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        if (thread < width) {
            masses[thread] = larger(masses[thread], masses[thread + width]);
        }
        workgroupBarrier();
    }
    top = masses[0];
    workgroupBarrier();
    var least = 0u;
    if (p.k.z > 0u) {
        for (var bit = 32u; bit > 0u; bit--) {
            let higher = least | (1u << (bit - 1u));
            if (above(origin, thread, higher, top).count >= p.k.z) {
                least = higher;
            }
        }
    }
    if (p.f.y < 1.0) {
        let goal = p.f.y * above(origin, thread, least, top).mass;
        var floor = 0u;
        for (var bit = 32u; bit > 0u; bit--) {
            let higher = floor | (1u << (bit - 1u));
            if (above(origin, thread, max(higher, least), top).mass >= goal) {
                floor = higher;
            }
        }
        least = max(least, floor);
    }
    if (p.f.z > 0.0) {
        least = max(least, order_of(top + logarithm(p.f.z) / p.f.x));
    }
    if (thread == 0u) {
        store(line, least);
    }
}
