//! What a hostile request costs.

use std::time::{Duration, Instant};

use callgate_http1::{Config, Limits, TargetGrammar};

use crate::reading::{End, read_pieces};

/// The half of the length of a target, in octets.
const HALF: usize = 30_000;

/// The length of a line that comes an octet at a time.
const LINE: usize = 20_000;

#[test]
fn a_query_of_percent_signs_costs_about_as_much_as_one_of_letters() {
    let config = Config {
        limits: Limits {
            target: 2 * HALF + 2,
            ..Limits::default()
        },
        target_grammar: TargetGrammar::Url,
        ..Config::default()
    };
    let path = "a".repeat(HALF);
    let cost_of = |octet: &str| {
        let query = octet.repeat(HALF);
        let input = format!("GET /{path}?{query} HTTP/1.1\r\nhost: a\r\n\r\n");
        cost(&config, &input, input.len())
    };
    let (percent_signs, letters) = (cost_of("%"), cost_of("a"));
    assert!(
        percent_signs < letters * 10,
        "{percent_signs:?}, and {letters:?} for letters"
    );
}

#[test]
fn a_chunk_line_an_octet_at_a_time_costs_about_as_much_as_as_many_octets_of_content() {
    let config = Config {
        limits: Limits {
            chunk_line: LINE + 2,
            ..Limits::default()
        },
        ..Config::default()
    };
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let octets = "a".repeat(LINE);
    let chunk_line = format!("{head}0;{octets}\r\n\r\n");
    let content = format!("{head}{LINE:x}\r\n{octets}\r\n0\r\n\r\n");
    let (chunk_line, content) = (cost(&config, &chunk_line, 1), cost(&config, &content, 1));
    assert!(
        chunk_line < content * 5,
        "{chunk_line:?}, and {content:?} for content"
    );
}

/// Returns how long the decoder reads the input, which comes in pieces of this length: the least of
/// several times, which other work on the machine disturbs least.
fn cost(config: &Config, input: &str, piece: usize) -> Duration {
    let times = (0..3).map(|_| {
        let begin = Instant::now();
        let reading = read_pieces(config, None, input.as_bytes().chunks(piece));
        let time = begin.elapsed();
        assert_eq!(reading.end, End::Idle);
        time
    });
    times.min().expect("there are three times")
}
