//! What is encoded is decoded as the same.

use bytes::BytesMut;
use callgate_http1::{AfterHead, Config, ContentLength, DefaultFields, Persistence};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use crate::reading::{End, Request, lines, read_pieces, text};
use crate::support::{encoder, encoder_for};

fn headers() -> impl Strategy<Value = HeaderMap> {
    let value = "[!-~\u{80}-\u{ff}]([ -~\t]{0,20}[!-~])?";
    prop::collection::vec(("x-[a-z0-9]{1,10}", value), 0..8).prop_map(|fields| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::try_from(name).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    })
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)
}

/// Reads content, of which the framing is that of the field, as that of a request.
fn read(field: &str, content: &[u8]) -> Request {
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{field}\r\n\r\n");
    let mut reading = read_pieces(&Config::default(), None, [head.as_bytes(), content]);
    assert_eq!(reading.end, End::Idle, "the content is whole");
    assert_eq!(reading.requests.len(), 1, "nothing follows the content");
    reading.requests.remove(0)
}

proptest! {
    #[test]
    fn chunks_and_trailers_are_read_as_they_were_written(
        pieces in pieces(),
        trailers in headers(),
    ) {
        let mut head = BytesMut::new();
        let after = encoder()
            .encode(StatusCode::OK, &HeaderMap::new(), ContentLength::Unknown, DefaultFields::NONE, &mut head)
            .unwrap();
        let AfterHead::Content(mut content) = after else {
            panic!("the response has content");
        };
        let mut output = BytesMut::new();
        for piece in &pieces {
            content.encode(piece, &mut output).unwrap();
        }
        content.end_with_trailers(&trailers, &mut output).unwrap();
        let read = read("transfer-encoding: chunked", &output);
        prop_assert_eq!(read.content, text(&pieces.concat()));
        prop_assert_eq!(read.trailers, lines(&trailers));
    }

    #[test]
    fn a_response_is_read_as_it_was_written(
        status in 200_u16..1000,
        headers in headers(),
        pieces in pieces(),
        is_known in any::<bool>(),
        is_http_10 in any::<bool>(),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        prop_assume!(![204, 205, 304].contains(&status.as_u16()));
        let encoder = match is_http_10 {
            true => encoder_for("GET / HTTP/1.0", "connection: keep-alive\r\n"),
            false => encoder(),
        };
        let content = pieces.concat();
        let length = match is_known {
            true => ContentLength::Known(content.len() as u64),
            false => ContentLength::Unknown,
        };
        let mut output = BytesMut::new();
        let after = encoder.encode(status, &headers, length, DefaultFields::NONE, &mut output).unwrap();
        let AfterHead::Content(mut encoder) = after else {
            panic!("the response has content");
        };
        for piece in &pieces {
            encoder.encode(piece, &mut output).unwrap();
        }
        let persistence = encoder.end(&mut output).unwrap();

        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut fields);
        let end = response.parse(&output).unwrap().unwrap();
        prop_assert_eq!(response.code, Some(status.as_u16()));
        let mut decoded = HeaderMap::new();
        for field in response.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).unwrap();
            decoded.append(name, HeaderValue::from_bytes(field.value).unwrap());
        }
        let length = decoded.remove("content-length");
        let framing = match (length, decoded.remove("transfer-encoding")) {
            (Some(length), None) => format!("content-length: {}", length.to_str().unwrap()),
            (None, Some(coding)) => format!("transfer-encoding: {}", coding.to_str().unwrap()),
            (None, None) => String::new(),
            (Some(_), Some(_)) => panic!("both framings"),
        };
        let connection = decoded.remove("connection");
        prop_assert_eq!(decoded, headers);
        let closes = connection.is_some_and(|value| value == "close");
        prop_assert_eq!(persistence == Persistence::Close, closes);
        if framing.is_empty() {
            prop_assert!(is_http_10 && !is_known);
            prop_assert_eq!(&output[end..], content);
        } else {
            prop_assert_eq!(read(&framing, &output[end..]).content, text(&content));
        }
    }
}
