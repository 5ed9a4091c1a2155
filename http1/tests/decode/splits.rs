//! However the octets are cut into pieces, the decoder reads the same.

use callgate_http1::{Config, Limits, TargetGrammar};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::decode_pieces;

/// Parts of requests, right and wrong, of which inputs are made.
const PARTS: &[&str] = &[
    "GET",
    "POST",
    "OPTIONS",
    "CONNECT",
    " ",
    "  ",
    "/",
    "*",
    "/a?b=%20",
    "a:80",
    "http://a/b",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.7",
    "HTTP/2.0",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "host: a",
    "content-length: 3",
    "content-length: 3, 3",
    "content-length: x",
    "transfer-encoding: chunked",
    "transfer-encoding: gzip, chunked",
    "connection: close",
    "expect: 100-continue",
    ": ",
    "a",
    "b: c",
    "b: ",
    "\t",
    "\0",
    "\u{e9}",
    "3",
    "0",
    ";a=\"b\"",
    "abc",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nsum: 1\r\n\r\n",
    "fffffffffffffffff",
    "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\n",
];

fn input() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        20 => select(PARTS).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

fn config() -> impl Strategy<Value = Config> {
    let limits = (
        2..40_usize,
        2..40_usize,
        0..4_usize,
        2..40_usize,
        2..80_usize,
    );
    (any::<bool>(), any::<bool>(), any::<bool>(), limits).prop_map(
        |(is_small, allow_bare_lf, is_url, (target, field, field_count, line, section))| Config {
            limits: match is_small {
                true => Limits {
                    method: target,
                    target,
                    field_count,
                    field,
                    fields: section,
                    chunk_line: line,
                    trailers: section,
                },
                false => Limits::default(),
            },
            allow_bare_lf,
            target_grammar: match is_url {
                true => TargetGrammar::Url,
                false => TargetGrammar::Uri,
            },
        },
    )
}

/// Cuts the input at these places.
fn cut<'a>(input: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place.index(input.len() + 1))
        .collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    let pieces = places.windows(2);
    pieces.map(|place| &input[place[0]..place[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_split_gives_the_same_events(
        input in input(),
        config in config(),
        places in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let whole = decode_pieces(&config, [&input[..]]);
        let octets = decode_pieces(&config, input.chunks(1));
        prop_assert_eq!(&whole, &octets);
        let pieces = decode_pieces(&config, cut(&input, &places));
        prop_assert_eq!(&whole, &pieces);
    }
}
