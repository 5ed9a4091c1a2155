//! Properties of decoder and encoder, tried on generated octets.
//!
//! The fuzz targets in `fuzz/` run the same modules.

#[path = "../reading/mod.rs"]
mod reading;

mod cost;
mod decode;
mod encode;
mod generator;
mod round_trip;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    #[test]
    fn requests_are_read_the_same_however_they_are_cut(
        settings in any::<[u8; 2]>(),
        cuts in prop::collection::vec(any::<u8>(), 0..8),
        input in generator::connection(),
    ) {
        let octets = [&settings[..], &[cuts.len() as u8], &cuts, &input].concat();
        decode::run(&octets);
    }

    #[test]
    fn a_response_ends_where_its_head_says(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        encode::run(&octets);
    }

    #[test]
    fn a_request_that_is_written_again_is_read_as_the_same(input in generator::connection()) {
        round_trip::run(&input);
    }
}
