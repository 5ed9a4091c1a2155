#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/reading/mod.rs"]
mod reading;

#[path = "../../tests/properties/decode.rs"]
mod decode;

fuzz_target!(|octets: &[u8]| decode::run(octets));
