//! Content: lengths, chunks and trailers.

use bytes::BytesMut;
use callgate_http1::{ContentEncoder, EncodeError, Persistence};

use crate::support::{Response, encoder, encoder_for, fields};

fn of_length(length: u64) -> ContentEncoder {
    Response::new(200, &[])
        .of_length(length)
        .content(encoder())
        .1
}

fn chunked() -> ContentEncoder {
    Response::new(200, &[]).content(encoder()).1
}

fn until_close() -> ContentEncoder {
    Response::new(200, &[])
        .content(encoder_for("GET / HTTP/1.0", ""))
        .1
}

#[test]
fn content_of_a_length_is_written_as_it_is_by_rfc_9112_section_6_2() {
    let mut output = BytesMut::new();
    let mut content = of_length(5);
    content.encode(b"hel", &mut output).unwrap();
    assert_eq!(content.remaining(), Some(2));
    content.encode(b"", &mut output).unwrap();
    content.encode(b"lo", &mut output).unwrap();
    assert_eq!(content.end(&mut output), Ok(Persistence::KeepAlive));
    assert_eq!(output, "hello");
}

#[test]
fn more_content_than_the_length_is_an_error_by_rfc_9112_section_6_2() {
    let mut output = BytesMut::new();
    let mut content = of_length(5);
    content.encode(b"hel", &mut output).unwrap();
    let error = EncodeError::TooMuchContent {
        remaining: 2,
        length: 3,
    };
    assert_eq!(content.encode(b"lo!", &mut output), Err(error));
    assert_eq!(content.frame(3).unwrap_err(), error);
    assert_eq!(output, "hel");
    assert_eq!(content.remaining(), Some(2));
}

#[test]
fn less_content_than_the_length_is_an_error_by_rfc_9112_section_6_3() {
    let mut output = BytesMut::new();
    let error = EncodeError::TooLittleContent { remaining: 5 };
    assert_eq!(of_length(5).end(&mut output), Err(error));
    let trailers = fields(&[("sum", "1")]);
    assert_eq!(
        of_length(5).end_with_trailers(&trailers, &mut output),
        Err(error)
    );
    assert!(output.is_empty());
}

#[test]
fn chunks_are_written_by_rfc_9112_section_7_1() {
    let mut output = BytesMut::new();
    let mut content = chunked();
    content.encode(b"hello", &mut output).unwrap();
    content.encode(b"", &mut output).unwrap();
    content.encode(&[b'x'; 26], &mut output).unwrap();
    assert_eq!(content.end(&mut output), Ok(Persistence::KeepAlive));
    let xs = "x".repeat(26);
    assert_eq!(output, format!("5\r\nhello\r\n1a\r\n{xs}\r\n0\r\n\r\n"));
}

#[test]
fn a_frame_goes_around_content_that_is_not_copied() {
    let mut content = chunked();
    for (length, before) in [
        (1, "1\r\n"),
        (0xabc, "abc\r\n"),
        (u64::MAX, "ffffffffffffffff\r\n"),
    ] {
        let frame = content.frame(length).unwrap();
        assert_eq!(frame.before(), before.as_bytes());
        assert_eq!(frame.behind(), b"\r\n");
    }
    let nothing = content.frame(0).unwrap();
    assert_eq!((nothing.before(), nothing.behind()), (&b""[..], &b""[..]));
    for mut content in [of_length(5), until_close()] {
        let frame = content.frame(5).unwrap();
        assert_eq!((frame.before(), frame.behind()), (&b""[..], &b""[..]));
    }
}

#[test]
fn trailers_follow_the_last_chunk_by_rfc_9112_section_7_1_2() {
    let mut output = BytesMut::new();
    let trailers = fields(&[("sum", "1"), ("sum", "2"), ("x", "")]);
    let end = chunked().end_with_trailers(&trailers, &mut output);
    assert_eq!(end, Ok(Persistence::KeepAlive));
    assert_eq!(output, "0\r\nsum: 1\r\nsum: 2\r\nx: \r\n\r\n");
}

#[test]
fn forbidden_trailers_are_not_written_by_rfc_9110_section_6_5_1() {
    let mut output = BytesMut::new();
    let trailers = fields(&[
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("host", "a"),
        ("set-cookie", "b"),
        ("trailer", "c"),
        ("connection", "d"),
        ("keep-alive", "e"),
        ("proxy-connection", "f"),
        ("te", "g"),
        ("content-type", "h/i"),
        ("cache-control", "j"),
        ("sum", "1"),
    ]);
    chunked().end_with_trailers(&trailers, &mut output).unwrap();
    assert_eq!(output, "0\r\nsum: 1\r\n\r\n");
}

#[test]
fn trailers_are_for_chunked_content_only_by_rfc_9110_section_6_5() {
    let trailers = fields(&[("sum", "1")]);
    for (content, persistence) in [
        (of_length(0), Persistence::KeepAlive),
        (until_close(), Persistence::Close),
    ] {
        let mut output = BytesMut::new();
        assert_eq!(
            content.end_with_trailers(&trailers, &mut output),
            Ok(persistence)
        );
        assert!(output.is_empty());
    }
}

#[test]
fn content_that_ends_with_the_connection_has_no_frame_by_rfc_9112_section_6_3() {
    let mut output = BytesMut::new();
    assert!(!of_length(5).is_close_delimited() && !chunked().is_close_delimited());
    let mut content = until_close();
    assert!(content.is_close_delimited());
    content.encode(b"hel", &mut output).unwrap();
    content.encode(b"lo", &mut output).unwrap();
    assert_eq!(content.end(&mut output), Ok(Persistence::Close));
    assert_eq!(output, "hello");
}
