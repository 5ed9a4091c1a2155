//! What a hostile request costs.

use std::time::{Duration, Instant};

use callgate_http1::{Config, Limits, TargetGrammar};

use crate::reading::{End, read_pieces};

/// The half of the length of a target, in octets.
const HALF: usize = 30_000;

#[test]
fn a_query_of_percent_signs_costs_about_as_much_as_one_of_letters() {
    let letters = cost("a");
    let percent_signs = cost("%");
    assert!(
        percent_signs < letters * 10,
        "{percent_signs:?}, and {letters:?} for letters"
    );
}

/// Returns how long a target is read whose query consists of this octet: the least of several times,
/// which other work on the machine disturbs least.
fn cost(octet: &str) -> Duration {
    let config = Config {
        limits: Limits {
            target: 2 * HALF + 2,
            ..Limits::default()
        },
        target_grammar: TargetGrammar::Url,
        ..Config::default()
    };
    let path = "a".repeat(HALF);
    let query = octet.repeat(HALF);
    let input = format!("GET /{path}?{query} HTTP/1.1\r\nhost: a\r\n\r\n");
    let times = (0..5).map(|_| {
        let begin = Instant::now();
        let reading = read_pieces(&config, None, [input.as_bytes()]);
        let time = begin.elapsed();
        assert_eq!(reading.end, End::Idle);
        time
    });
    times.min().expect("there are five times")
}
