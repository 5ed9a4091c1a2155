//! RFC 9113: frames, and the requests of RFC 9110 over HTTP/2.

use super::super::case::{Case, steps};
use super::super::raw_http2::{
    ACK, Answer, DATA, Frame, PING, SETTINGS, WINDOW_UPDATE, answer, begin,
    expect_connection_error, frame, headers, wait_for,
};
use super::super::target::Target;
use crate::Verdict;
use crate::basis::Document::Rfc;
use crate::basis::demands;
use crate::server_suite::http1::Http1;
use crate::server_suite::result::{CaseResult, must};

/// A type of frame that no standard defines.
const UNKNOWN: u8 = 0xee;

const CONNECTION_ERROR: &str = "The server ends the connection.";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "head_without_content_over_http2",
        basis: demands(Rfc(9110), "9.3.2"),
        sentence: "The HEAD method is identical to GET except that the server MUST NOT send content in the response.",
        does: "Sends HEAD over HTTP/2.",
        must: "No DATA frame with content comes before the end of the stream.",
        steps: steps!(async |target| {
            let mut client = open(target).await?;
            let mut fields = request(target);
            fields[0].1 = "HEAD";
            client.send(headers(1, &fields, false)).await?;
            let last = wait_for(&mut client, |frame| {
                frame.stream == 1
                    && (frame.flags & 1 != 0 || !frame.payload.is_empty() && frame.kind == DATA)
            })
            .await?;
            must!(
                last.kind != DATA || last.payload.is_empty(),
                "the content is `{}`",
                last.payload.escape_ascii()
            );
            Ok(())
        }),
    },
    Case {
        name: "a_frame_of_an_unknown_type",
        basis: demands(Rfc(9113), "5.5"),
        sentence: "Implementations MUST ignore unknown or unsupported values in all extensible protocol elements. Implementations \
                   MUST discard frames that have unknown or unsupported types.",
        does: "Sends a frame of an unknown type, and then GET.",
        must: "The request is answered.",
        steps: steps!(async |target| {
            let mut client = open(target).await?;
            client.send(frame(UNKNOWN, 0, 0, b"data")).await?;
            client.send(headers(1, &request(target), false)).await?;
            let answer = answer(&mut client, 1).await?;
            must!(answer != Answer::Ended, "the stream was ended");
            Ok(())
        }),
    },
    Case {
        name: "a_stream_with_an_even_number",
        basis: demands(Rfc(9113), "5.1.1"),
        sentence: "An endpoint that receives an unexpected stream identifier MUST respond with a connection error (Section 5.4.1) \
                   of type PROTOCOL_ERROR.",
        does: "Sends GET on stream 2.",
        must: CONNECTION_ERROR,
        steps: steps!(async |target| {
            let mut client = open(target).await?;
            client.send(headers(2, &request(target), false)).await?;
            expect_connection_error(&mut client).await
        }),
    },
    Case {
        name: "a_request_on_stream_0",
        basis: demands(Rfc(9113), "6.2"),
        sentence: "If a HEADERS frame is received whose Stream Identifier field is 0x00, the recipient MUST respond with a \
                   connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
        does: "Sends GET on stream 0.",
        must: CONNECTION_ERROR,
        steps: steps!(async |target| {
            let mut client = open(target).await?;
            client.send(headers(0, &request(target), false)).await?;
            expect_connection_error(&mut client).await
        }),
    },
    Case {
        name: "settings_are_acknowledged",
        basis: demands(Rfc(9113), "6.5.3"),
        sentence: "Once all values have been processed, the recipient MUST immediately emit a SETTINGS frame with the ACK flag set.",
        does: "Sends settings.",
        must: "The server acknowledges them.",
        steps: steps!(async |target| {
            let mut client = open(target).await?;
            client.send(frame(SETTINGS, 0, 0, &[])).await?;
            let is_ack = |frame: &Frame| frame.kind == SETTINGS && frame.flags & ACK != 0;
            // Those of the preface come first.
            wait_for(&mut client, is_ack).await?;
            wait_for(&mut client, is_ack).await.map(|_| ())
        }),
    },
    Case {
        name: "a_ping_over_http2",
        basis: demands(Rfc(9113), "6.7"),
        sentence: "Receivers of a PING frame that does not include an ACK flag MUST send a PING frame with the ACK flag set in \
                   response, with an identical frame payload.",
        does: "Sends PING.",
        must: "The server answers with the same payload.",
        steps: steps!(async |target| {
            let mut client = open(target).await?;
            client.send(frame(PING, 0, 0, b"callgate")).await?;
            let pong = wait_for(&mut client, |frame| {
                frame.kind == PING && frame.flags & ACK != 0
            })
            .await?;
            must!(
                pong.payload == b"callgate",
                "the payload is `{}`",
                pong.payload.escape_ascii()
            );
            Ok(())
        }),
    },
    Case {
        name: "a_window_update_of_zero",
        basis: demands(Rfc(9113), "6.9"),
        sentence: "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window increment of 0 as a stream \
                   error (Section 5.4.2) of type PROTOCOL_ERROR; errors on the connection flow-control window MUST be treated as a \
                   connection error (Section 5.4.1).",
        does: "Sends WINDOW_UPDATE of 0 for the connection.",
        must: CONNECTION_ERROR,
        steps: steps!(async |target| {
            let mut client = open(target).await?;
            client.send(frame(WINDOW_UPDATE, 0, 0, &[0; 4])).await?;
            expect_connection_error(&mut client).await
        }),
    },
];

/// Begins a connection.
pub(super) async fn open(target: &Target<'_>) -> CaseResult<Http1> {
    let mut client = target.connect_http2().await?;
    begin(&mut client).await?;
    Ok(client)
}

/// Returns the fields of a GET of the path of the target. The method is the first.
pub(super) fn request<'a>(target: &'a Target<'_>) -> Vec<(&'static str, &'a str)> {
    vec![
        (":method", "GET"),
        (":scheme", target.scheme()),
        (":authority", target.authority()),
        (":path", target.path()),
    ]
}

/// Sends the frames of a malformed request on stream 1, which must not have the answer of the well-formed
/// request.
pub(super) async fn expect_malformed(
    target: &Target<'_>,
    well_formed: &[u8],
    malformed: &[u8],
) -> CaseResult {
    let mut client = open(target).await?;
    client.send(well_formed).await?;
    let usual = answer(&mut client, 1).await?;
    if usual == Answer::Ended {
        return Err(Verdict::NotApplicable(
            "the well-formed request is not answered over HTTP/2".into(),
        ));
    }
    let mut client = open(target).await?;
    client.send(malformed).await?;
    let seen = answer(&mut client, 1).await?;
    must!(seen != usual, "the answer is that of a well-formed request");
    Ok(())
}
