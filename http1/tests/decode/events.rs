//! The events of a connection.

use bytes::BytesMut;
use callgate_http1::{Config, DecodeError, Decoder, Event};

/// Decodes the pieces of a connection, and describes its events.
fn events(pieces: &[&str]) -> Result<Vec<String>, DecodeError> {
    let mut input = BytesMut::new();
    let mut decoder = Decoder::new(Config::default());
    let mut events = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece.as_bytes());
        loop {
            let (event, next) = decoder.decode(&mut input)?;
            decoder = next;
            events.push(match event {
                Some(Event::Head(head)) => format!("{} {}", head.method, head.target),
                Some(Event::Data(data)) => format!("data {data:?}"),
                Some(Event::End(trailers)) => format!("end {trailers:?}"),
                None => break,
            });
        }
        events.push("incomplete".to_owned());
    }
    Ok(events)
}

#[test]
fn a_request_is_a_head_pieces_of_content_and_an_end() {
    let pieces = [
        "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab",
        "cdPOST /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nsum: 1\r\n\r\nGE",
    ];
    let expected = [
        "GET /1",
        "end {}",
        "POST /2",
        "data b\"ab\"",
        "incomplete",
        "data b\"cd\"",
        "end {}",
        "POST /3",
        "data b\"x\"",
        "end {\"sum\": \"1\"}",
        "incomplete",
    ];
    assert_eq!(events(&pieces).unwrap(), expected);
}

#[test]
fn a_malformed_request_is_an_error_and_no_event() {
    for (request, error) in [
        ("GET / HTTP/1.1\r\n\r\n", DecodeError::HostMissing),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            DecodeError::ChunkSize,
        ),
    ] {
        assert_eq!(events(&[request]), Err(error));
    }
}

#[test]
fn the_octets_behind_a_request_are_not_touched_before_the_next_call() {
    let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: b\r\n\r\n";
    let mut input = BytesMut::from(format!("{head}\r\n\0rest").as_str());
    let (event, decoder) = Decoder::new(Config::default()).decode(&mut input).unwrap();
    assert!(matches!(event, Some(Event::Head(head)) if head.offers_upgrade));
    let (event, _) = decoder.decode(&mut input).unwrap();
    assert!(matches!(event, Some(Event::End(_))));
    assert_eq!(input, "\r\n\0rest");
}
