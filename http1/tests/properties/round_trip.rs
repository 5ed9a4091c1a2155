//! A request that is decoded, and written again in the plainest form, is decoded as the same.

use bytes::BytesMut;
use callgate_http1::{
    AfterHead, Config, ContentEncoder, ContentLength, DecodedHead, DefaultFields, HeadDecoder,
    Persistence, ResponseEncoder,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::reading::{Request, read_pieces};

/// Decodes octets, encodes what has been decoded, and decodes that.
///
/// # Panics
///
/// Panics if the requests differ.
pub(crate) fn run(input: &[u8]) {
    let config = Config::default();
    let mut requests = read_pieces(&config, None, [input]).requests;
    requests.retain(|request| request.is_complete);
    let mut output = BytesMut::new();
    for request in &requests {
        write(request, &mut output);
    }
    let mut again = read_pieces(&config, None, [&output[..]]).requests;
    for (request, again) in requests.iter().zip(&mut again) {
        // A length beside chunked content closes the connection, and is not written again.
        if is_chunked(request) && request.persistence == Persistence::Close {
            again.persistence = Persistence::Close;
        }
    }
    assert_eq!(requests, again, "written as {output:?}");
}

fn write(request: &Request, output: &mut BytesMut) {
    let mut head = format!(
        "{} {} {:?}\r\n",
        request.method, request.target, request.version
    );
    for field in &request.fields {
        head.push_str(field);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    output.extend_from_slice(&octets(&head));
    let content = octets(&request.content);
    if is_chunked(request) {
        let mut encoder = chunked();
        let (first, second) = content.split_at(content.len() / 2);
        encoder.encode(first, output).expect("chunks have no limit");
        encoder
            .encode(second, output)
            .expect("chunks have no limit");
        encoder
            .end_with_trailers(&map(&request.trailers), output)
            .expect("chunks have an end");
    } else {
        output.extend_from_slice(&content);
    }
}

fn is_chunked(request: &Request) -> bool {
    let mut fields = request.fields.iter();
    fields.any(|field| field.starts_with("transfer-encoding: "))
}

/// Returns the encoder of chunked content.
fn chunked() -> ContentEncoder {
    let mut input = BytesMut::from("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let decoder = HeadDecoder::new(Config::default());
    let Ok(DecodedHead::Complete(request, _)) = decoder.decode(&mut input) else {
        panic!("the request is whole");
    };
    let encoder = ResponseEncoder::new(&request);
    let (status, headers) = (StatusCode::OK, HeaderMap::new());
    let mut head = BytesMut::new();
    match encoder.encode(
        status,
        &headers,
        ContentLength::Unknown,
        DefaultFields::NONE,
        &mut head,
    ) {
        Ok(AfterHead::Content(encoder)) => encoder,
        other => panic!("the content is chunked: {other:?}"),
    }
}

fn map(lines: &[String]) -> HeaderMap {
    let fields = lines.iter().map(|line| {
        let (name, value) = line.split_once(": ").expect("a field has a colon");
        let name = HeaderName::from_bytes(&octets(name)).expect("a name that was decoded");
        let value = HeaderValue::from_bytes(&octets(value)).expect("a value that was decoded");
        (name, value)
    });
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name, value);
    }
    map
}

fn octets(text: &str) -> Vec<u8> {
    let octets = text.chars().map(u8::try_from);
    octets
        .collect::<Result<_, _>>()
        .expect("a character is an octet")
}
