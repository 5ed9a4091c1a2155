#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/reading/mod.rs"]
mod reading;

#[path = "../../tests/properties/round_trip.rs"]
mod round_trip;

fuzz_target!(|octets: &[u8]| round_trip::run(octets));
