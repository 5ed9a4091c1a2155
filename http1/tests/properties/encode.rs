//! A response ends where its head says, whatever the caller of the encoder does.

use std::time::{Duration, UNIX_EPOCH};

use bytes::BytesMut;
use callgate_http1::{
    AfterHead, Config, ContentEncoder, ContentLength, Date, DecodedHead, DefaultFields,
    HeadDecoder, Persistence, RequestHead, ResponseEncoder,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use crate::reading::{self, End, read_pieces, text};

/// Encodes a response as the octets say, and reads the response.
///
/// # Panics
///
/// Panics if the response is not right.
pub(crate) fn run(octets: &[u8]) {
    let mut choices = Choices(octets);
    let request = request(&mut choices);
    let mut encoder = ResponseEncoder::new(&request);
    let mut output = BytesMut::new();
    let flags = choices.next();
    if flags & 1 != 0 {
        encoder.close();
    }
    if flags & 2 != 0 {
        encoder.encode_continue(&mut output);
    }
    if flags & 4 != 0 {
        encoder.encode_early_hints(&headers(&mut choices), &mut output);
    }
    check_interim(&output, &request);
    output.clear();

    let status = 100 + u16::from(choices.next()) * 4 % 900;
    let status = StatusCode::from_u16(status).expect("a status has three digits");
    let headers = headers(&mut choices);
    let pieces: Vec<&[u8]> = (0..choices.next() % 4).map(|_| choices.piece()).collect();
    let total: usize = pieces.iter().map(|piece| piece.len()).sum();
    let length = match flags & 8 != 0 {
        true => ContentLength::Known(total as u64),
        false => ContentLength::Unknown,
    };
    let date = Date::at(UNIX_EPOCH + Duration::from_secs(u64::from(flags)));
    let defaults = match flags & 16 != 0 {
        true => DefaultFields::from(&date),
        false => DefaultFields::NONE,
    };
    let Ok(after) = encoder.encode(status, &headers, length, defaults, &mut output) else {
        assert!(output.is_empty(), "an error writes nothing");
        return;
    };
    let head = Head::parse(&output);
    assert_eq!(head.length, output.len(), "the head is whole and alone");
    assert_eq!(head.status, status.as_u16());
    assert!(
        head.values("date").len() <= headers.get_all("date").iter().count() + 1,
        "one date of the encoder"
    );
    match after {
        AfterHead::Tunnel => {
            assert!(request.method == Method::CONNECT && status.is_success());
            assert_eq!(head.framing(), Framing::None);
        }
        AfterHead::End(persistence) => check_persistence(&head, &request, persistence),
        AfterHead::Content(encoder) => {
            let is_chunked = head.framing() == Framing::Chunked;
            assert!(!is_chunked || request.version == Version::HTTP_11);
            check_persistence(&head, &request, encoder.persistence());
            check_content(encoder, &head, &pieces, &mut choices);
        }
    }
}

/// Checks that the octets are interim responses, without the fields of framing and connection.
fn check_interim(mut output: &[u8], request: &RequestHead) {
    assert!(output.is_empty() || request.version == Version::HTTP_11);
    while !output.is_empty() {
        let head = Head::parse(output);
        assert!([100, 103].contains(&head.status));
        assert_eq!(head.framing(), Framing::None);
        assert!(head.values("connection").is_empty());
        output = &output[head.length..];
    }
}

fn check_persistence(head: &Head, request: &RequestHead, persistence: Persistence) {
    let has = |option: &str| {
        let values = head.values("connection");
        values.iter().any(|value| {
            let mut options = value.split(',');
            options.any(|it| it.trim().eq_ignore_ascii_case(option))
        })
    };
    match persistence {
        Persistence::Close => assert!(has("close") && !has("keep-alive")),
        Persistence::KeepAlive => {
            assert!(!has("close"));
            assert_eq!(has("keep-alive"), request.version == Version::HTTP_10);
        }
    }
}

/// Writes the content, and reads it by the framing of the head.
fn check_content(
    mut encoder: ContentEncoder,
    head: &Head,
    pieces: &[&[u8]],
    choices: &mut Choices<'_>,
) {
    let mut output = BytesMut::new();
    let mut written = Vec::new();
    for piece in pieces {
        let before = output.len();
        match encoder.encode(piece, &mut output) {
            Ok(()) => written.extend_from_slice(piece),
            Err(_) => assert_eq!(output.len(), before, "an error writes nothing"),
        }
    }
    let trailers = headers(choices);
    let remaining = encoder.remaining();
    let is_close_delimited = encoder.is_close_delimited();
    let end = match trailers.is_empty() {
        true => encoder.end(&mut output),
        false => encoder.end_with_trailers(&trailers, &mut output),
    };
    let has_ended = end.is_ok();
    assert_eq!(has_ended, remaining.unwrap_or(0) == 0);
    match head.framing() {
        Framing::None => {
            assert!(is_close_delimited);
            assert_eq!(output, written);
        }
        Framing::Length(length) => {
            assert_eq!(remaining, Some(length - written.len() as u64));
            assert_eq!(output, written);
        }
        Framing::Chunked => {
            let read = read_chunked(&output);
            assert_eq!(read.content, text(&written));
            for name in ["content-length: ", "transfer-encoding: ", "connection: "] {
                let has_field = read.trailers.iter().any(|line| line.starts_with(name));
                assert!(!has_field, "`{name}` in trailers");
            }
        }
    }
}

/// Reads chunked content as that of a request, to its end.
fn read_chunked(octets: &[u8]) -> reading::Request {
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut reading = read_pieces(&Config::default(), None, [head, octets]);
    assert_eq!(reading.end, End::Idle, "the content is whole");
    assert_eq!(reading.requests.len(), 1, "nothing follows the content");
    reading.requests.remove(0)
}

/// The head of a response, read by another parser than the decoder of this crate.
struct Head {
    status: u16,
    length: usize,
    fields: Vec<(String, String)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
}

impl Head {
    fn parse(octets: &[u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(octets) {
            Ok(httparse::Status::Complete(length)) => length,
            other => panic!("the head is malformed: {other:?}"),
        };
        let fields = response.headers.iter().map(|field| {
            let value = String::from_utf8_lossy(field.value);
            (field.name.to_ascii_lowercase(), value.into_owned())
        });
        Self {
            status: response.code.expect("the head is whole"),
            length,
            fields: fields.collect(),
        }
    }

    fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(it, _)| it == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    fn framing(&self) -> Framing {
        let lengths = self.values("content-length");
        match (&lengths[..], &self.values("transfer-encoding")[..]) {
            ([], []) => Framing::None,
            ([length], []) => Framing::Length(length.parse().expect("a length is made of digits")),
            ([], ["chunked"]) => Framing::Chunked,
            other => panic!("the framing is ambiguous: {other:?}"),
        }
    }
}

/// The octets that choose what is done. After their end, all choices are 0.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.next()) % choices.len()]
    }

    fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.next() % 24).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }
}

fn request(choices: &mut Choices<'_>) -> RequestHead {
    let line = choices.of(&["GET /", "HEAD /", "POST /", "CONNECT a:80"]);
    let version = choices.of(&["HTTP/1.1", "HTTP/1.0"]);
    let field = choices.of(&[
        "b: c",
        "connection: close",
        "connection: keep-alive",
        "connection: upgrade\r\nupgrade: a",
    ]);
    let mut input =
        BytesMut::from(format!("{line} {version}\r\nhost: a\r\n{field}\r\n\r\n").as_str());
    match HeadDecoder::new(Config::default()).decode(&mut input) {
        Ok(DecodedHead::Complete(head, _)) => head,
        other => panic!("the request is right: {other:?}"),
    }
}

fn headers(choices: &mut Choices<'_>) -> HeaderMap {
    const NAMES: [&str; 10] = [
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "date",
        "trailer",
        "keep-alive",
        "set-cookie",
        "b",
        "content-type",
    ];
    const VALUES: [&str; 8] = [
        "0",
        "5",
        "5, 5",
        "close",
        "chunked",
        "keep-alive, c",
        "",
        "c d",
    ];
    let mut headers = HeaderMap::new();
    for _ in 0..choices.next() % 5 {
        let name = HeaderName::from_static(choices.of(&NAMES));
        let value = match choices.next() % 2 {
            0 => HeaderValue::from_bytes(choices.piece()).ok(),
            _ => Some(HeaderValue::from_static(choices.of(&VALUES))),
        };
        if let Some(value) = value {
            headers.append(name, value);
        }
    }
    headers
}
