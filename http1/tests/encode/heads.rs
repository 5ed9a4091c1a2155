//! Heads: the status line, framing, connection and date.

use std::time::{Duration, UNIX_EPOCH};

use callgate_http1::{AfterHead, Date, EncodeError, FieldLines, Persistence, ResponseEncoder};
use http::StatusCode;

use crate::support::{Response, encoder, encoder_for, fields};

const HTTP_10: &str = "GET / HTTP/1.0";

#[test]
fn a_status_line_has_version_status_and_reason_by_rfc_9112_section_4() {
    for (status, line) in [
        (200, "HTTP/1.1 200 OK\r\n"),
        (404, "HTTP/1.1 404 Not Found\r\n"),
        (299, "HTTP/1.1 299 \r\n"),
        (999, "HTTP/1.1 999 \r\n"),
    ] {
        let (text, _) = Response::new(status, &[]).content(encoder());
        assert!(text.starts_with(line), "{text:?}");
    }
    let (text, _) = Response::new(200, &[]).content(encoder_for(HTTP_10, ""));
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n"),
        "RFC 9110, section 2.5: {text:?}"
    );
}

#[test]
fn content_of_a_known_length_has_content_length_by_rfc_9112_section_6_2() {
    for line in ["GET / HTTP/1.1", HTTP_10] {
        let (text, content) = Response::new(200, &[("a", "b")])
            .of_length(5)
            .content(encoder_for(line, ""));
        assert!(text.contains("a: b\r\ncontent-length: 5\r\n"), "{text:?}");
        assert_eq!(content.remaining(), Some(5));
    }
    let (text, _) = Response::new(200, &[])
        .of_length(u64::MAX)
        .content(encoder());
    assert!(
        text.contains("content-length: 18446744073709551615\r\n"),
        "{text:?}"
    );
    let (text, _) = Response::new(200, &[]).of_length(0).content(encoder());
    assert!(text.contains("content-length: 0\r\n"), "{text:?}");
}

#[test]
fn a_content_length_of_the_caller_is_kept_by_rfc_9110_section_8_6() {
    let (text, content) = Response::new(200, &[("content-length", "5")]).content(encoder());
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(content.remaining(), Some(5));
    let twice = Response::new(200, &[("content-length", "5"), ("content-length", "5")]);
    assert_eq!(
        twice.content(encoder()).0,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    );
}

#[test]
fn a_content_length_that_is_wrong_is_an_error_by_rfc_9110_section_8_6() {
    for value in ["", "a", "+5", "-5", "5, 5", "18446744073709551616"] {
        let error = Response::new(200, &[("content-length", value)]).encode(encoder());
        assert_eq!(
            error.unwrap_err(),
            EncodeError::MalformedContentLength,
            "{value}"
        );
    }
    let differing = Response::new(200, &[("content-length", "5"), ("content-length", "6")]);
    assert_eq!(
        differing.encode(encoder()).unwrap_err(),
        EncodeError::MalformedContentLength
    );
    let other = Response::new(200, &[("content-length", "5")]).of_length(6);
    let error = EncodeError::DifferentContentLength {
        field: 5,
        content: 6,
    };
    assert_eq!(other.encode(encoder()).unwrap_err(), error);
}

#[test]
fn content_of_an_unknown_length_is_chunked_by_rfc_9112_section_6_1() {
    let (text, content) = Response::new(200, &[]).content(encoder());
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(content.remaining(), None);
    assert_eq!(content.persistence(), Persistence::KeepAlive);
}

#[test]
fn content_of_an_unknown_length_ends_with_the_connection_in_http_1_0_by_rfc_9112_section_6_3() {
    let keep_alive = encoder_for(HTTP_10, "connection: keep-alive\r\n");
    let (text, content) = Response::new(200, &[]).content(keep_alive);
    assert_eq!(text, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    assert_eq!(content.persistence(), Persistence::Close);
}

#[test]
fn transfer_encoding_is_not_the_callers() {
    let response = Response::new(200, &[("transfer-encoding", "gzip, chunked")]).of_length(5);
    let (text, _) = response.content(encoder());
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
}

#[test]
fn a_response_to_head_keeps_its_length_and_has_no_content_by_rfc_9110_section_9_3_2() {
    for (response, text) in [
        (
            Response::new(200, &[("content-length", "5")]),
            "content-length: 5\r\n",
        ),
        (
            Response::new(200, &[("content-length", "5")]).of_length(0),
            "content-length: 5\r\n",
        ),
        (
            Response::new(200, &[]).of_length(5),
            "content-length: 5\r\n",
        ),
        (Response::new(200, &[]).of_length(0), ""),
        (Response::new(200, &[]), ""),
        (
            Response::new(404, &[("content-length", "5")]),
            "content-length: 5\r\n",
        ),
    ] {
        let (head, after) = response.encode(encoder_for("HEAD / HTTP/1.1", "")).unwrap();
        assert!(
            matches!(after, AfterHead::End(Persistence::KeepAlive)),
            "{after:?}"
        );
        assert!(head.ends_with(&format!("\r\n{text}\r\n")), "{head:?}");
        assert_eq!(head.contains("content-length"), !text.is_empty());
        assert!(!head.contains("transfer-encoding"), "{head:?}");
    }
}

#[test]
fn a_304_keeps_its_length_and_has_no_content_by_rfc_9110_section_15_4_5() {
    let response = Response::new(304, &[("content-length", "5"), ("etag", "\"a\"")]).of_length(0);
    let (text, after) = response.encode(encoder()).unwrap();
    assert_eq!(
        text,
        "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 5\r\n\r\n"
    );
    assert!(matches!(after, AfterHead::End(Persistence::KeepAlive)));
    let (text, _) = Response::new(304, &[])
        .of_length(0)
        .encode(encoder())
        .unwrap();
    assert_eq!(text, "HTTP/1.1 304 Not Modified\r\n\r\n");
}

#[test]
fn a_204_has_neither_length_nor_coding_by_rfc_9110_section_8_6_and_rfc_9112_section_6_1() {
    let response = Response::new(
        204,
        &[("content-length", "0"), ("transfer-encoding", "chunked")],
    );
    let (text, after) = response.encode(encoder()).unwrap();
    assert_eq!(text, "HTTP/1.1 204 No Content\r\n\r\n");
    assert!(matches!(after, AfterHead::End(Persistence::KeepAlive)));
}

#[test]
fn a_205_has_empty_content_by_rfc_9110_section_15_3_6() {
    for response in [
        Response::new(205, &[]),
        Response::new(205, &[("content-length", "0")]).of_length(0),
    ] {
        let (text, content) = response.content(encoder());
        assert_eq!(
            text,
            "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(content.remaining(), Some(0));
    }
    let error = Response::new(205, &[])
        .of_length(5)
        .encode(encoder())
        .unwrap_err();
    assert_eq!(error, EncodeError::ContentOfResetContent);
}

#[test]
fn a_2xx_to_connect_begins_a_tunnel_by_rfc_9110_section_9_3_6() {
    let connect = || encoder_for("CONNECT a:80 HTTP/1.1", "");
    let response = Response::new(
        200,
        &[("content-length", "5"), ("transfer-encoding", "chunked")],
    );
    let (text, after) = response.encode(connect()).unwrap();
    assert_eq!(text, "HTTP/1.1 200 OK\r\n\r\n");
    assert!(matches!(after, AfterHead::Tunnel));
    let closing = encoder_for("CONNECT a:80 HTTP/1.1", "connection: close\r\n");
    let (text, _) = response.encode(closing).unwrap();
    assert_eq!(text, "HTTP/1.1 200 OK\r\n\r\n");
    let (text, _) = Response::new(501, &[]).of_length(5).content(connect());
    assert!(text.contains("content-length: 5\r\n"), "{text:?}");
}

#[test]
fn an_interim_status_is_not_final_by_rfc_9110_section_15_2() {
    for status in [100, 101, 103, 199] {
        let error = Response::new(status, &[]).encode(encoder()).unwrap_err();
        assert_eq!(
            error,
            EncodeError::InterimStatus(StatusCode::from_u16(status).unwrap())
        );
    }
}

#[test]
fn the_connection_field_says_what_is_decided_by_rfc_9112_section_9_3() {
    let closing = |line, fields| {
        let mut encoder = encoder_for(line, fields);
        encoder.close();
        encoder
    };
    let close = Some("close");
    let http_11 = "GET / HTTP/1.1";
    for (encoder, field, persistence) in [
        (encoder_for(http_11, ""), None, Persistence::KeepAlive),
        (
            encoder_for(http_11, "connection: close\r\n"),
            close,
            Persistence::Close,
        ),
        (closing(http_11, ""), close, Persistence::Close),
        (encoder_for(HTTP_10, ""), close, Persistence::Close),
        (
            encoder_for(HTTP_10, "connection: keep-alive\r\n"),
            Some("keep-alive"),
            Persistence::KeepAlive,
        ),
        (
            closing(HTTP_10, "connection: keep-alive\r\n"),
            close,
            Persistence::Close,
        ),
        (
            ResponseEncoder::for_malformed_request(),
            close,
            Persistence::Close,
        ),
    ] {
        let (text, content) = Response::new(200, &[]).of_length(0).content(encoder);
        let line = field.map(|field| format!("connection: {field}\r\n"));
        let expected = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}\r\n",
            line.unwrap_or_default()
        );
        assert_eq!(text, expected);
        assert_eq!(content.persistence(), persistence);
    }
}

#[test]
fn the_callers_connection_options_are_kept_by_rfc_9110_section_7_6_1() {
    for (fields, line, persistence) in [
        (
            &[("connection", "close")][..],
            "connection: close\r\n",
            Persistence::Close,
        ),
        (
            &[("connection", "Close, x")],
            "connection: close, x\r\n",
            Persistence::Close,
        ),
        (
            &[("connection", "x, y"), ("connection", "z")],
            "connection: x, y, z\r\n",
            Persistence::KeepAlive,
        ),
        (&[("connection", "keep-alive")], "", Persistence::KeepAlive),
        (&[("connection", "")], "", Persistence::KeepAlive),
        (
            &[("connection", ", x,,")],
            "connection: x\r\n",
            Persistence::KeepAlive,
        ),
    ] {
        let (text, content) = Response::new(200, fields).of_length(0).content(encoder());
        assert_eq!(
            text,
            format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{line}\r\n")
        );
        assert_eq!(content.persistence(), persistence);
    }
}

#[test]
fn an_upgrade_field_has_its_connection_option_by_rfc_9110_section_7_8() {
    for (fields, line) in [
        (&[("upgrade", "a")][..], "connection: upgrade\r\n"),
        (
            &[("upgrade", "a"), ("connection", "Upgrade, close")],
            "connection: close, upgrade\r\n",
        ),
    ] {
        let (text, _) = Response::new(426, fields).of_length(0).content(encoder());
        let head = "HTTP/1.1 426 Upgrade Required\r\nupgrade: a\r\ncontent-length: 0\r\n";
        assert_eq!(text, format!("{head}{line}\r\n"));
    }
}

#[test]
fn a_date_is_added_once_by_rfc_9110_section_6_6_1() {
    let mut response = Response::new(200, &[]).of_length(0);
    response.date = Some(Date::at(UNIX_EPOCH + Duration::from_secs(784_111_777)));
    let (text, _) = response.content(encoder());
    assert_eq!(
        text.matches("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
            .count(),
        1
    );
    response.headers = fields(&[("date", "Thu, 01 Jan 1970 00:00:00 GMT")]);
    let (text, _) = response.content(encoder());
    assert_eq!(text.matches("date: ").count(), 1);
    assert!(
        text.contains("date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
        "{text:?}"
    );
}

#[test]
fn default_fields_are_written_where_the_caller_has_none_of_the_name() {
    let mut response = Response::new(204, &[]);
    let defaults = fields(&[
        ("server", "a"),
        ("vary", "b"),
        ("vary", "c"),
        ("upgrade", "d"),
    ]);
    response.lines = Some(FieldLines::from(&defaults));
    response.date = Some(Date::at(UNIX_EPOCH));
    let date = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    for (own, expected) in [
        (
            &[][..],
            format!("server: a\r\nvary: b\r\nvary: c\r\n{date}"),
        ),
        (
            &[("server", "e")],
            format!("server: e\r\nvary: b\r\nvary: c\r\n{date}"),
        ),
        (&[("vary", "e")], format!("vary: e\r\nserver: a\r\n{date}")),
    ] {
        response.headers = fields(own);
        let (text, _) = response.encode(encoder()).unwrap();
        assert_eq!(text, format!("HTTP/1.1 204 No Content\r\n{expected}\r\n"));
    }
    response.lines = Some(FieldLines::from(&fields(&[("date", "e")])));
    let (text, _) = response.encode(encoder()).unwrap();
    assert!(
        text.contains("\r\ndate: e\r\n") && !text.contains("1970"),
        "{text:?}"
    );
}

#[test]
fn fields_are_written_as_the_caller_has_them() {
    let response = Response::new(
        200,
        &[("x-b", "1"), ("x-a", "2"), ("x-b", "3"), ("x-c", "")],
    );
    let (text, _) = response.of_length(0).content(encoder());
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nx-b: 1\r\nx-b: 3\r\nx-a: 2\r\nx-c: \r\ncontent-length: 0\r\n\r\n"
    );
}
