//! The decoder reads the same however octets are cut, and what it reads is right.

use callgate_http1::{Config, Limits, TargetGrammar};
use http::Version;

use crate::reading::{End, Reading, Request, read_pieces, text};

/// Reads octets, of which the first are the settings and the places where the rest is cut.
///
/// # Panics
///
/// Panics if the decoder does not read the same each time, or reads what is not right.
pub(crate) fn run(octets: &[u8]) {
    let [flags, limit, cuts, rest @ ..] = octets else {
        return;
    };
    let config = config(*flags, *limit);
    let (cuts, input) = rest.split_at(rest.len().min(usize::from(cuts % 8)));

    let whole = read_pieces(&config, None, [input]);
    let one_by_one = read_pieces(&config, None, input.chunks(1));
    assert_eq!(whole, one_by_one, "in one piece, and an octet at a time");
    let pieces = read_pieces(&config, None, cut(input, cuts));
    assert_eq!(whole, pieces, "in one piece, and cut by {cuts:?}");
    check(&whole, input, &config);
}

fn config(flags: u8, limit: u8) -> Config {
    let has = |flag: u8| flags & flag != 0;
    let limit = usize::from(limit);
    Config {
        limits: match has(4) {
            true => Limits {
                method: limit % 16,
                target: limit % 24,
                field_count: limit % 5,
                field: limit % 40,
                fields: limit,
                chunk_line: limit % 10,
                trailers: limit % 50,
            },
            false => Limits::default(),
        },
        allow_bare_lf: has(1),
        target_grammar: match has(2) {
            true => TargetGrammar::Url,
            false => TargetGrammar::Uri,
        },
    }
}

/// Cuts the input at these places, each a share of its length.
fn cut<'a>(input: &'a [u8], places: &[u8]) -> Vec<&'a [u8]> {
    let places = places.iter().map(|it| usize::from(*it) * input.len() / 255);
    let mut places: Vec<usize> = places.chain([0, input.len()]).collect();
    places.sort_unstable();
    let pairs = places.windows(2);
    pairs.map(|pair| &input[pair[0]..pair[1]]).collect()
}

fn check(reading: &Reading, input: &[u8], config: &Config) {
    let input = text(input);
    match reading.end {
        // The minor version in the head is replaced.
        End::InHead => assert!(reading.unread.len() <= input.len()),
        _ => assert!(
            input.ends_with(&reading.unread),
            "what is unread is the end"
        ),
    }
    let count = reading.requests.len();
    for (at, request) in reading.requests.iter().enumerate() {
        let is_last = at + 1 == count;
        assert!(request.is_complete || is_last, "content has an end");
        check_request(request, config);
    }
}

fn check_request(request: &Request, config: &Config) {
    let limits = &config.limits;
    assert!(request.method.len() <= limits.method);
    assert!(request.fields.len() <= limits.field_count);
    let value = |name: &str| {
        let fields = request.fields.iter();
        let mut values = fields.filter_map(|field| field.strip_prefix(name)?.strip_prefix(": "));
        let value = values.next();
        assert_eq!(values.next(), None, "`{name}` is repeated");
        value
    };
    assert!(value("host").is_some() || request.version == Version::HTTP_10);
    match (value("content-length"), value("transfer-encoding")) {
        (Some(_), Some(_)) => panic!("both framings"),
        (None, None) => assert!(request.content.is_empty() && request.is_complete),
        (None, Some(coding)) => {
            assert_eq!(coding.to_ascii_lowercase(), "chunked");
            assert_eq!(request.version, Version::HTTP_11);
        }
        (Some(length), None) => {
            let length: u64 = length.parse().expect("a length is made of digits");
            let received = request.content.chars().count() as u64;
            assert!(received <= length);
            assert_eq!(request.is_complete, received == length);
            assert_eq!(request.trailers, [""; 0]);
        }
    }
    for line in request.fields.iter().chain(&request.trailers) {
        let (name, value) = line.split_once(": ").expect("a field has a colon");
        assert!(!name.is_empty() && !name.contains(|octet: char| !octet.is_ascii_graphic()));
        assert!(!value.contains(|octet| matches!(octet, '\0'..='\x08' | '\n'..='\x1f' | '\x7f')));
        assert_eq!(value.trim_matches([' ', '\t']), value);
    }
    for line in &request.trailers {
        for name in ["content-length: ", "transfer-encoding: ", "host: "] {
            assert!(!line.starts_with(name), "`{name}` in trailers");
        }
    }
}
