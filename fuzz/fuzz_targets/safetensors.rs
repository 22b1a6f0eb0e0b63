//! A safetensors file. The header's length is supplied, so that the fuzzer gets past it: up to the last NUL byte the
//! input is the header, the rest is data.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().rposition(|&b| b == 0).unwrap_or(data.len());
    let mut file = (end as u64).to_le_bytes().to_vec();
    file.extend(data);
    votive_fuzz::open("fuzz.safetensors", file);
    votive_fuzz::open("fuzz.safetensors", data.to_vec());
});
