//! Interim responses, and the change of protocol.

use std::time::UNIX_EPOCH;

use bytes::BytesMut;
use callgate_http1::{Date, DefaultFields, EncodeError};

use crate::support::{encoder, encoder_for, fields};

#[test]
fn interim_responses_are_written_by_rfc_9110_section_15_2() {
    let mut output = BytesMut::new();
    assert!(encoder().encode_continue(&mut output));
    assert_eq!(output, "HTTP/1.1 100 Continue\r\n\r\n");
    output.clear();
    let hints = fields(&[
        ("link", "</a>; rel=preload"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("upgrade", "a"),
    ]);
    assert!(encoder().encode_early_hints(&hints, &mut output));
    assert_eq!(
        output,
        "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
    );
}

#[test]
fn a_client_of_http_1_0_gets_no_interim_response_by_rfc_9110_section_15_2() {
    let mut output = BytesMut::new();
    let encoder = encoder_for("GET / HTTP/1.0", "");
    assert!(!encoder.encode_continue(&mut output));
    assert!(!encoder.encode_early_hints(&fields(&[("link", "a")]), &mut output));
    assert!(output.is_empty());
}

#[test]
fn a_change_of_protocol_is_written_by_rfc_9110_section_7_8() {
    let mut output = BytesMut::new();
    let date = Date::at(UNIX_EPOCH);
    let headers = fields(&[
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "a"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("connection", "Upgrade"),
    ]);
    let encoder = encoder_for(
        "GET / HTTP/1.1",
        "connection: upgrade\r\nupgrade: websocket\r\n",
    );
    encoder
        .encode_upgrade(&headers, (&date).into(), &mut output)
        .unwrap();
    assert_eq!(
        output,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nsec-websocket-accept: a\r\n\
         date: Thu, 01 Jan 1970 00:00:00 GMT\r\nconnection: upgrade\r\n\r\n"
    );
}

#[test]
fn the_protocol_changes_only_as_the_client_offers_by_rfc_9110_section_7_8() {
    let mut output = BytesMut::new();
    let headers = fields(&[("upgrade", "websocket")]);
    for (line, lines) in [
        ("GET / HTTP/1.1", ""),
        ("GET / HTTP/1.1", "upgrade: websocket\r\n"),
        (
            "GET / HTTP/1.0",
            "connection: upgrade\r\nupgrade: websocket\r\n",
        ),
    ] {
        let result =
            encoder_for(line, lines).encode_upgrade(&headers, DefaultFields::NONE, &mut output);
        assert_eq!(
            result,
            Err(EncodeError::UpgradeNotOffered),
            "{line} {lines}"
        );
    }
    let encoder = encoder_for(
        "GET / HTTP/1.1",
        "connection: upgrade\r\nupgrade: websocket\r\n",
    );
    let result = encoder.encode_upgrade(&fields(&[]), DefaultFields::NONE, &mut output);
    assert_eq!(result, Err(EncodeError::MissingUpgradeField));
    assert!(output.is_empty());
}
