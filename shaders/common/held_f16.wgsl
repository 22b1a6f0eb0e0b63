// Weights of a tile that are f16 are held so, in half the memory.
alias Held = vec4<f16>;

fn held(four: vec4<f32>) -> Held {
    return Held(four);
}

fn value(four: Held) -> vec4<f32> {
    return vec4<f32>(four);
}
