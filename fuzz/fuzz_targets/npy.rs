//! A NumPy file; as an archive too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    votive_fuzz::open("fuzz.npz", data.to_vec());
    votive_fuzz::open("fuzz.npy", [b"\x93NUMPY\x01\0", data].concat());
});
