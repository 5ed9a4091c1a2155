//! Whole responses in one call.

use bytes::BytesMut;
use callgate_http1::{DecodeError, DefaultFields, EncodeError, Persistence, ResponseEncoder};
use http::{HeaderMap, StatusCode};

use crate::support::{encoder, encoder_for, fields};

/// Encodes a whole response of status 200 with this content.
fn whole(encoder: ResponseEncoder, content: &str) -> (String, Persistence) {
    let mut output = BytesMut::new();
    let (status, headers) = (StatusCode::OK, HeaderMap::new());
    let encoded = encoder.encode_whole(
        status,
        &headers,
        content.as_bytes(),
        DefaultFields::NONE,
        &mut output,
    );
    (text(&output), encoded.unwrap())
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn a_whole_response_has_its_length_and_its_content() {
    let (text, persistence) = whole(encoder(), "hello");
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    assert_eq!(persistence, Persistence::KeepAlive);
    let (text, persistence) = whole(encoder_for("GET / HTTP/1.0", ""), "");
    assert!(text.ends_with("content-length: 0\r\nconnection: close\r\n\r\n"));
    assert_eq!(persistence, Persistence::Close);
}

#[test]
fn a_whole_response_to_head_has_a_length_and_no_content() {
    let (text, persistence) = whole(encoder_for("HEAD / HTTP/1.1", ""), "hello");
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(persistence, Persistence::KeepAlive);
}

#[test]
fn a_whole_response_opens_no_tunnel() {
    let connect = || encoder_for("CONNECT a:80 HTTP/1.1", "");
    let (fields, defaults) = (HeaderMap::new(), DefaultFields::NONE);
    for (status, content) in [(200, "hello"), (204, ""), (299, "")] {
        let status = StatusCode::from_u16(status).unwrap();
        let mut output = BytesMut::from("before");
        let encoded =
            connect().encode_whole(status, &fields, content.as_bytes(), defaults, &mut output);
        let error = EncodeError::OpensTunnel(status);
        assert_eq!((encoded, text(&output)), (Err(error), "before".to_owned()));
    }
    let mut output = BytesMut::new();
    let status = StatusCode::NOT_IMPLEMENTED;
    let encoded = connect().encode_whole(status, &fields, b"hello", defaults, &mut output);
    assert_eq!(encoded, Ok(Persistence::KeepAlive));
    assert_eq!(
        text(&output),
        "HTTP/1.1 501 Not Implemented\r\ncontent-length: 5\r\n\r\nhello"
    );
}

#[test]
fn a_whole_response_that_cannot_be_encoded_writes_nothing() {
    let mut output = BytesMut::new();
    let headers = fields(&[("content-length", "4")]);
    let encoded = encoder().encode_whole(
        StatusCode::OK,
        &headers,
        b"hello",
        DefaultFields::NONE,
        &mut output,
    );
    let error = EncodeError::DifferentContentLength {
        field: 4,
        content: 5,
    };
    assert_eq!((encoded, text(&output)), (Err(error), String::new()));
}

#[test]
fn a_refusal_has_the_status_and_the_reason_of_its_error_and_closes_the_connection() {
    let mut output = BytesMut::new();
    let malformed = ResponseEncoder::for_malformed_request();
    malformed.encode_refusal(DecodeError::TargetTooLong, DefaultFields::NONE, &mut output);
    assert_eq!(
        text(&output),
        "HTTP/1.1 414 URI Too Long\r\ncontent-type: text/plain\r\ncontent-length: 22\r\n\
         connection: close\r\n\r\nthe target is too long"
    );
    let mut output = BytesMut::new();
    let head = encoder_for("HEAD / HTTP/1.1", "content-length: 1\r\n");
    head.encode_refusal(DecodeError::ChunkSize, DefaultFields::NONE, &mut output);
    assert!(text(&output).ends_with("connection: close\r\n\r\n"));
}
