//! A PyTorch file. The input is the pickle of a file of the old format, whose first three pickles are supplied; as it is,
//! it may be an archive.
#![no_main]

use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

fuzz_target!(|data: &[u8]| {
    votive_fuzz::open("fuzz.pt", [HEAD, data].concat());
    votive_fuzz::open("fuzz.pt", data.to_vec());
});
