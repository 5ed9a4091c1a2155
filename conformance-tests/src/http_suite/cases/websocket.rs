//! RFC 6455: the handshake and the frames of a WebSocket.

use super::super::case::{Case, steps};
use super::super::target::Target;
use crate::Verdict;
use crate::basis::Document::Rfc;
use crate::basis::demands;
use crate::server_suite::http1::Http1;
use crate::server_suite::request::Response;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::websocket::{CLOSE, FIN, KEY, PING, PONG, TEXT, close, frame};

/// What the server answers to [`KEY`] (RFC 6455, 1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The second of the reserved bits of a frame.
const RSV2: u8 = 0x20;

/// The number of frames that a case reads while it waits for a certain frame.
const MAX_FRAMES: usize = 16;

const HANDSHAKE: &str = "If the server, while reading the handshake, finds that the client did not send a handshake that matches \
                         the description below [...] the server MUST stop processing the client's handshake and return an HTTP \
                         response with an appropriate error code (such as 400 Bad Request).";

const REFUSED: &str = "The answer is 4xx.";

const FAILED: &str = "The server closes the WebSocket, and sends no message before that.";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a_handshake_by_post",
        basis: demands(Rfc(6455), "4.2.1"),
        sentence: HANDSHAKE,
        does: "Sends a handshake with the method POST.",
        must: "The WebSocket is not opened.",
        steps: steps!(async |target| {
            let path = websocket_path(target)?;
            let request = target.request("POST", path, &fields("sec-websocket-key", KEY, "13"));
            let mut client = target.connect().await?;
            client.send(request).await?;
            let status = client.head().await?.status;
            must!(status != 101, "the answer is 101");
            Ok(())
        }),
    },
    Case {
        name: "a_handshake_without_a_key",
        basis: demands(Rfc(6455), "4.2.1"),
        sentence: HANDSHAKE,
        does: "Sends a handshake without `sec-websocket-key`.",
        must: REFUSED,
        steps: steps!(async |target| {
            expect_refused(target, &fields("x-websocket-key", KEY, "13"))
                .await
                .map(|_| ())
        }),
    },
    Case {
        name: "a_key_of_another_length",
        basis: demands(Rfc(6455), "4.2.1"),
        sentence: HANDSHAKE,
        does: "Sends a handshake whose key has 5 bytes.",
        must: REFUSED,
        steps: steps!(async |target| {
            expect_refused(target, &fields("sec-websocket-key", "c2hvcnQ=", "13"))
                .await
                .map(|_| ())
        }),
    },
    Case {
        name: "a_handshake",
        basis: demands(Rfc(6455), "4.2.2"),
        sentence: "If the server chooses to accept the incoming connection, it MUST reply with a valid HTTP response indicating \
                   the following. [...] Status-Line with a 101 response code [...] An |Upgrade| header field with value \
                   \"websocket\" [...] A |Connection| header field with value \"Upgrade\". [...] A |Sec-WebSocket-Accept| header \
                   field.",
        does: "Sends a handshake.",
        must: "The answer is 101 with these fields, and `sec-websocket-accept` is that of the key.",
        steps: steps!(async |target| {
            let (_, answer) = answered(target).await?;
            must!(
                answer.lists("upgrade", "websocket") && answer.lists("connection", "upgrade"),
                "the fields are {:?}",
                answer.fields
            );
            let accept = answer.field("sec-websocket-accept");
            must!(
                accept == Some(ACCEPT),
                "`sec-websocket-accept` is {accept:?}"
            );
            Ok(())
        }),
    },
    Case {
        name: "a_version_that_is_unknown",
        basis: demands(Rfc(6455), "4.2.2"),
        sentence: "If this version does not match a version understood by the server, the server MUST abort the WebSocket \
                   handshake described in this section and instead send an appropriate HTTP error code (such as 426 Upgrade \
                   Required) and a |Sec-WebSocket-Version| header field indicating the version(s) the server is capable of \
                   understanding.",
        does: "Sends a handshake of version 12.",
        must: "The answer is 4xx, with `sec-websocket-version: 13`.",
        steps: steps!(async |target| {
            let answer = expect_refused(target, &fields("sec-websocket-key", KEY, "12")).await?;
            must!(
                answer.lists("sec-websocket-version", "13"),
                "`sec-websocket-version` is {:?}",
                answer.field("sec-websocket-version")
            );
            Ok(())
        }),
    },
    Case {
        name: "a_frame_without_a_mask",
        basis: demands(Rfc(6455), "5.1"),
        sentence: "The server MUST close the connection upon receiving a frame that is not masked.",
        does: "Sends a text message without a mask.",
        must: FAILED,
        steps: steps!(async |target| { expect_failed(target, b"\x81\x05hello").await }),
    },
    Case {
        name: "a_reserved_bit",
        basis: demands(Rfc(6455), "5.2"),
        sentence: "If a nonzero value is received and none of the negotiated extensions defines the meaning of such a nonzero \
                   value, the receiving endpoint MUST _Fail the WebSocket Connection_.",
        does: "Sends a text message with a reserved bit.",
        must: FAILED,
        steps: steps!(async |target| {
            expect_failed(target, &frame(FIN | RSV2 | TEXT, "hello")).await
        }),
    },
    Case {
        name: "a_close_is_answered",
        basis: demands(Rfc(6455), "5.5.1"),
        sentence: "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a Close \
                   frame in response.",
        does: "Sends a close frame.",
        must: "The server answers with a close frame.",
        steps: steps!(async |target| {
            let mut client = opened(target).await?;
            client.send(close(1000, "")).await?;
            wait_for(&mut client, CLOSE).await.map(|_| ())
        }),
    },
    Case {
        name: "a_ping_is_answered",
        basis: demands(Rfc(6455), "5.5.2"),
        sentence: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already received a Close \
                   frame.",
        does: "Sends a ping.",
        must: "The server answers with a pong of the same content.",
        steps: steps!(async |target| {
            let mut client = opened(target).await?;
            client.send(frame(FIN | PING, "ping")).await?;
            let content = wait_for(&mut client, PONG).await?;
            must!(
                content == b"ping",
                "the pong has `{}`",
                content.escape_ascii()
            );
            Ok(())
        }),
    },
    Case {
        name: "a_text_that_is_no_utf8",
        basis: demands(Rfc(6455), "8.1"),
        sentence: "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a valid \
                   UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_.",
        does: "Sends a text message that is no UTF-8.",
        must: FAILED,
        steps: steps!(async |target| { expect_failed(target, &frame(FIN | TEXT, b"\xff")).await }),
    },
];

fn websocket_path<'a>(target: &'a Target<'_>) -> CaseResult<&'a str> {
    target.options.websocket_path.as_deref().ok_or_else(|| {
        Verdict::NotApplicable("it needs --websocket-path, a path that accepts WebSockets".into())
    })
}

/// Returns the lines of the fields of a handshake, with the key under this name.
fn fields(name: &str, key: &str, version: &str) -> String {
    format!(
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: {version}\r\n{name}: {key}\r\n"
    )
}

/// Sends a handshake with these lines of fields, which must be refused.
async fn expect_refused(target: &Target<'_>, fields: &str) -> CaseResult<Response> {
    let path = websocket_path(target)?;
    let mut client = target.connect().await?;
    client.send(target.request("GET", path, fields)).await?;
    let answer = client.head().await?;
    must!(
        (400..=499).contains(&answer.status),
        "the answer is {}",
        answer.status
    );
    Ok(answer)
}

/// Sends a handshake, which must be accepted.
async fn answered(target: &Target<'_>) -> CaseResult<(Http1, Response)> {
    let path = websocket_path(target)?;
    let mut client = target.connect().await?;
    let fields = fields("sec-websocket-key", KEY, "13");
    client.send(target.request("GET", path, &fields)).await?;
    let answer = client.head().await?;
    must!(answer.status == 101, "the answer is {}", answer.status);
    Ok((client, answer))
}

async fn opened(target: &Target<'_>) -> CaseResult<Http1> {
    answered(target).await.map(|(client, _)| client)
}

/// Reads a frame. Returns what kind it is, and its content.
async fn read_frame(client: &mut Http1) -> CaseResult<(u8, Vec<u8>)> {
    let head = client.read_exactly(2).await?;
    let length = match head[1] {
        126 => {
            let length = client.read_exactly(2).await?;
            usize::from(u16::from_be_bytes([length[0], length[1]]))
        }
        length @ ..126 => length.into(),
        _ => {
            return Err(Verdict::failed(
                "the server sends a frame that is masked or large",
            ));
        }
    };
    let content = client.read_exactly(length).await?;
    Ok((head[0] & 0x0f, content.to_vec()))
}

/// Reads frames up to the first of this kind. Returns its content.
async fn wait_for(client: &mut Http1, kind: u8) -> CaseResult<Vec<u8>> {
    for _ in 0..MAX_FRAMES {
        let (seen, content) = read_frame(client).await?;
        if seen == kind {
            return Ok(content);
        }
    }
    Err(Verdict::failed(format!("{MAX_FRAMES} other frames came")))
}

/// Opens a WebSocket and sends these octets, after which the server must close it.
async fn expect_failed(target: &Target<'_>, octets: &[u8]) -> CaseResult {
    let mut client = opened(target).await?;
    client.send(octets).await?;
    for _ in 0..MAX_FRAMES {
        if client.is_at_end().await? {
            return Ok(());
        }
        match read_frame(&mut client).await? {
            (CLOSE, _) => return Ok(()),
            (PING | PONG, _) => {}
            (kind, _) => {
                let seen = format!("the server sends a frame of opcode {kind}");
                return Err(Verdict::failed(seen));
            }
        }
    }
    Err(Verdict::failed("the server only sends pings"))
}
