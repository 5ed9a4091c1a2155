#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/reading/mod.rs"]
mod reading;

#[path = "../../tests/properties/encode.rs"]
mod encode;

fuzz_target!(|octets: &[u8]| encode::run(octets));
