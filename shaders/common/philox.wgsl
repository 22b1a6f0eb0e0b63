// Philox 4x32 with 10 rounds (Salmon et al. 2011), as `Generator` on the host.
fn high_product(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let one = (a & 0xffffu) * (b >> 16u);
    let other = (a >> 16u) * (b & 0xffffu);
    let middle = (low >> 16u) + (one & 0xffffu) + (other & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (one >> 16u) + (other >> 16u) + (middle >> 16u);
}

fn philox(first_key: vec2<u32>, counter: vec4<u32>) -> vec4<u32> {
    var key = first_key;
    var x = counter;
    for (var round = 0u; round < 10u; round++) {
        let a = high_product(x.x, 0xD2511F53u);
        let b = high_product(x.z, 0xCD9E8D57u);
        x = vec4<u32>(b ^ x.y ^ key.x, x.z * 0xCD9E8D57u, a ^ x.w ^ key.y, x.x * 0xD2511F53u);
        key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return x;
}
