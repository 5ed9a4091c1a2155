//! Generates what a client sends on a connection.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// How the content of a request is framed.
#[derive(Clone, Debug)]
enum Content {
    None,
    Length(Vec<u8>),
    Chunked {
        chunks: Vec<(Vec<u8>, &'static str)>,
        trailers: Vec<&'static str>,
    },
}

/// A change of a few octets.
#[derive(Clone, Debug)]
enum Mutation {
    Insert(Index, &'static [u8]),
    Replace(Index, u8),
    Delete(Index),
    Repeat(Index, usize),
    Truncate(Index),
}

/// Parts with which faults begin.
const INSERTED: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"\x7f",
    b"\x80",
    b"%",
    b"\"",
    b"+",
    b"0x",
    b"content-length: 3\r\n",
    b"transfer-encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
];

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "BREW"];

const TARGETS: &[&str] = &[
    "/",
    "/a/b?c=d%20e",
    "*",
    "http://a/",
    "https://a:80?b",
    "a:80",
    "//a",
    "/[]?%",
];

const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0"];

const FIELDS: &[&str] = &[
    "Host: a:80",
    "host: [::1]",
    "b:c",
    "b: \t c d\t",
    "connection: close",
    "connection: keep-alive, Upgrade",
    "upgrade: websocket",
    "expect: 100-continue",
    "content-length: 3",
    "content-length: 0, 00",
    "transfer-encoding: gzip",
    "te: trailers",
    "d: \u{e9}",
];

const TRAILERS: &[&str] = &["sum: 1", "sum:2", "Host: b", "content-length: 9"];

const EXTENSIONS: &[&str] = &["", "", "", ";a", ";a=b", "; a=\"b;\\\"\"", " ;a;b"];

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

/// Returns what a client sends on a connection: requests of which some octets are changed, or parts of
/// requests in any order.
pub(crate) fn connection() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![changed_requests(), mixed_parts()]
}

fn mixed_parts() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        20 => select(PARTS).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

fn changed_requests() -> impl Strategy<Value = Vec<u8>> {
    let requests = prop::collection::vec(request(), 1..4);
    let mutations = prop::collection::vec(mutation(), 0..4);
    (requests, mutations).prop_map(|(requests, mutations)| {
        let octets = requests.concat();
        mutations.iter().fold(octets, |octets, it| it.apply(octets))
    })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = (select(METHODS), select(TARGETS), select(VERSIONS));
    let fields = prop::collection::vec(select(FIELDS), 0..4);
    (0..3_usize, line, fields, content()).prop_map(
        |(empty_lines, (method, target, version), fields, content)| {
            let mut octets = b"\r\n".repeat(empty_lines);
            let line = format!("{method} {target} {version}\r\nhost: a\r\n");
            octets.extend_from_slice(line.as_bytes());
            for field in fields {
                octets.extend_from_slice(field.as_bytes());
                octets.extend_from_slice(b"\r\n");
            }
            content.write(&mut octets);
            octets
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    let data = || prop::collection::vec(select(b"ab\r\n0\xff".as_slice()), 0..20);
    let chunk = (data(), select(EXTENSIONS));
    let chunks = prop::collection::vec(chunk, 0..4);
    let trailers = prop::collection::vec(select(TRAILERS), 0..3);
    prop_oneof![
        Just(Content::None),
        data().prop_map(Content::Length),
        (chunks, trailers).prop_map(|(chunks, trailers)| Content::Chunked { chunks, trailers }),
    ]
}

impl Content {
    /// Writes the field of the framing, the end of the head, and the content.
    fn write(self, octets: &mut Vec<u8>) {
        match self {
            Self::None => octets.extend_from_slice(b"\r\n"),
            Self::Length(data) => {
                let field = format!("content-length: {}\r\n\r\n", data.len());
                octets.extend_from_slice(field.as_bytes());
                octets.extend_from_slice(&data);
            }
            Self::Chunked { chunks, trailers } => {
                octets.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for (data, extension) in chunks.iter().filter(|(data, _)| !data.is_empty()) {
                    let line = format!("{:x}{extension}\r\n", data.len());
                    octets.extend_from_slice(line.as_bytes());
                    octets.extend_from_slice(data);
                    octets.extend_from_slice(b"\r\n");
                }
                octets.extend_from_slice(b"0\r\n");
                for line in trailers {
                    octets.extend_from_slice(line.as_bytes());
                    octets.extend_from_slice(b"\r\n");
                }
                octets.extend_from_slice(b"\r\n");
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), select(INSERTED)).prop_map(|(at, octets)| Mutation::Insert(at, octets)),
        2 => (at(), any::<u8>()).prop_map(|(at, octet)| Mutation::Replace(at, octet)),
        2 => at().prop_map(Mutation::Delete),
        1 => (at(), 1..30_usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        1 => at().prop_map(Mutation::Truncate),
    ]
}

impl Mutation {
    fn apply(&self, mut octets: Vec<u8>) -> Vec<u8> {
        if octets.is_empty() {
            return octets;
        }
        match self {
            Self::Insert(at, inserted) => {
                let at = at.index(octets.len());
                octets.splice(at..at, inserted.iter().copied());
            }
            Self::Replace(at, octet) => {
                let at = at.index(octets.len());
                octets[at] = *octet;
            }
            Self::Delete(at) => {
                octets.remove(at.index(octets.len()));
            }
            Self::Repeat(at, length) => {
                let at = at.index(octets.len());
                let end = octets.len().min(at + length);
                let repeated = octets[at..end].to_vec();
                octets.splice(at..at, repeated);
            }
            Self::Truncate(at) => octets.truncate(at.index(octets.len())),
        }
        octets
    }
}
