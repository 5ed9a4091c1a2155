//! A client of WebSockets that writes frames byte by byte (RFC 6455, 5.2), over an upgraded HTTP/1.1
//! connection or over an HTTP/2 stream (RFC 8441).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use callgate::{ReceiveEvent, WebSocketAccept, WebSocketDisconnect};
use h2::SendStream;

use super::bench::Log;
use super::case::{Outcome, must};
use super::exchange::{Exchange, Over};
use super::http1::Http1;
use super::http2::{Http2, Http2Response, Part, send_within};
use super::remote::{Remote, within};
use super::request::{Request, Response};
use super::server::Server;
use crate::Verdict;

pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;
/// Set in the first byte of a message's last frame.
pub(super) const FIN: u8 = 0x80;

/// The largest frame that is read, in bytes.
const MAX_FRAME: u64 = 1 << 20;

/// Cases whose steps are the same over both: each takes the bench and an [`Over`].
macro_rules! websocket_cases {
    ($($steps:ident: $rule:ident, $asgi:expr, $does:literal, $must:literal $(,)?;)+) => {
        &[$(
            $crate::server_suite::case::Case {
                check: $crate::Check::new(::callgate::rule::$rule, stringify!($steps), $does, $must),
                asgi: $asgi,
                run: |bench| Box::pin($steps(bench, $crate::server_suite::exchange::Over::Http1)),
            },
            $crate::server_suite::case::Case {
                check: $crate::Check::new(
                    ::callgate::rule::$rule,
                    concat!(stringify!($steps), "_over_http2"),
                    concat!("Over HTTP/2. ", $does),
                    $must,
                ),
                asgi: $asgi,
                run: |bench| Box::pin($steps(bench, $crate::server_suite::exchange::Over::Http2)),
            },
        )+]
    };
}
pub(super) use websocket_cases;

/// The example of RFC 6455, 1.3.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A handshake, as HTTP/1.1 writes it. Over HTTP/2 it goes without what only HTTP/1.1 has.
pub(super) fn handshake() -> Request {
    handshake_to("/")
}

/// The same, to this target.
pub(super) fn handshake_to(target: &str) -> Request {
    Request::get(target)
        .field("connection", "upgrade")
        .field("upgrade", "websocket")
        .field("sec-websocket-version", "13")
        .field("sec-websocket-key", KEY)
}

/// A WebSocket that the client has asked for.
pub(super) struct Asked(Exchange);

/// Sends a handshake on a connection of its own.
pub(super) async fn ask(server: &Server, over: Over, handshake: &Request) -> Outcome<Asked> {
    Ok(Asked(match over {
        Over::Http1 => Exchange::begin_http1(server, handshake).await?,
        Over::Http2 => {
            let mut client = connect_http2(server).await?;
            if !client.takes_extended_connect() {
                return Err(Verdict::NotApplicable(
                    "it does not take WebSockets over HTTP/2".into(),
                ));
            }
            let exchange = client
                .begin_extended_connect(&extended_connect(handshake), "websocket")
                .await?;
            Exchange::of_http2(client, exchange)
        }
    }))
}

/// A connection whose settings are known.
pub(super) async fn connect_http2(server: &Server) -> Outcome<Http2> {
    let mut client = server.connect_http2().await?;
    client.settled().await?;
    Ok(client)
}

/// The same handshake as HTTP/2 has it (RFC 8441, 5).
fn extended_connect(handshake: &Request) -> Request {
    let mut request = handshake.clone();
    request.method = "CONNECT".into();
    request.fields.retain(|(name, _)| {
        !matches!(
            name.as_str(),
            "connection" | "upgrade" | "sec-websocket-key"
        )
    });
    request
}

/// Opens a WebSocket that the application accepts at once.
pub(super) async fn open(server: &mut Server, over: Over) -> Outcome<(Remote, WebSocket)> {
    let asked = ask(server, over, &handshake()).await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    Ok((app, asked.opened(server).await?))
}

impl Asked {
    /// Reads the head of the answer, which must open the WebSocket.
    pub(super) async fn opened(self, server: &Server) -> Outcome<WebSocket> {
        let (response, websocket) = self.answered(server).await?;
        let opens = match websocket.wire {
            Wire::Http1(_) => response.status == 101,
            Wire::Http2(_) => response.status == 200,
        };
        must!(
            opens,
            "the handshake was answered with {}, not accepted",
            response.status
        );
        Ok(websocket)
    }

    /// Reads the head of the answer, and takes what follows for frames.
    pub(super) async fn answered(self, server: &Server) -> Outcome<(Response, WebSocket)> {
        let (head, wire) = match self.0 {
            Exchange::Http1(mut side) => (side.client.head().await?, Wire::Http1(side.client)),
            Exchange::Http2(side) => {
                let (client, exchange) = side.unanswered()?;
                let (response, content) = exchange.head_and_content().await?;
                let head = response.head.clone();
                let stream = Stream {
                    content,
                    response,
                    unread: BytesMut::new(),
                    _client: client,
                };
                (head, Wire::Http2(Box::new(stream)))
            }
        };
        let websocket = WebSocket {
            wire,
            log: server.log().clone(),
            patience: server.patience(),
        };
        Ok((head, websocket))
    }

    /// Reads the whole answer, which is an HTTP response.
    pub(super) async fn response(mut self) -> Outcome<Response> {
        self.0.response().await
    }

    /// Whether a part of the answer has come. Does not wait for any.
    pub(super) async fn has_answer(&mut self) -> Outcome<bool> {
        self.0.has_answer().await
    }

    /// Goes away without a farewell.
    pub(super) fn reset(self) {
        self.0.reset();
    }
}

/// A WebSocket that is open.
pub(super) struct WebSocket {
    wire: Wire,
    log: Log,
    patience: Duration,
}

enum Wire {
    Http1(Http1),
    Http2(Box<Stream>),
}

/// Both directions of a stream of HTTP/2.
struct Stream {
    content: SendStream<Bytes>,
    response: Http2Response,
    /// What has been read and not been taken.
    unread: BytesMut,
    /// Without it the connection ends.
    _client: Http2,
}

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its first byte: [`FIN`], the reserved bits, and what kind it is.
    pub(super) first: u8,
    pub(super) payload: Bytes,
}

/// A client's frame: masked, and with this first byte.
pub(super) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// A text message in one frame.
pub(super) fn text(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text)
}

/// A close frame with this code and reason.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(FIN | CLOSE, payload)
}

impl WebSocket {
    /// Writes these octets.
    pub(super) async fn send(&mut self, octets: impl AsRef<[u8]>) -> Outcome {
        let octets = octets.as_ref();
        match &mut self.wire {
            Wire::Http1(client) => client.send(octets).await,
            Wire::Http2(stream) => {
                let note = format!("the client sends `{}`", octets.escape_ascii());
                self.log.note(note);
                stream
                    .content
                    .send_data(Bytes::copy_from_slice(octets), false)
                    .map_err(|error| Verdict::failed(format!("the server takes nothing: {error}")))
            }
        }
    }

    /// Writes as many of these octets as are taken together within this time; how many.
    pub(super) async fn send_within(&mut self, time: Duration, octets: &[u8]) -> Outcome<usize> {
        match &mut self.wire {
            Wire::Http1(client) => client.send_within(time, octets).await,
            Wire::Http2(stream) => send_within(time, &mut stream.content, octets).await,
        }
    }

    /// Reads a frame of the server.
    pub(super) async fn frame(&mut self) -> Outcome<Frame> {
        let head = self.exactly(2).await?;
        must!(head[1] & 0x80 == 0, "the server masks its frames");
        let length = match head[1] {
            126 => {
                let length = self.exactly(2).await?;
                u16::from_be_bytes([length[0], length[1]]).into()
            }
            127 => {
                let length = self.exactly(8).await?;
                length
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            }
            length => length.into(),
        };
        must!(
            length <= MAX_FRAME,
            "the server sends a frame of {length} bytes"
        );
        let payload = self
            .exactly(usize::try_from(length).unwrap_or_default())
            .await?;
        Ok(Frame {
            first: head[0],
            payload,
        })
    }

    /// Reads the next message: its frames together, without pings and pongs between them.
    pub(super) async fn message(&mut self) -> Outcome<Frame> {
        let mut kind = None;
        let mut whole = BytesMut::new();
        loop {
            let frame = self.frame().await?;
            match frame.first & 0x0f {
                PING | PONG => continue,
                CONTINUATION if kind.is_some() => {}
                TEXT | BINARY if kind.is_none() => kind = Some(frame.first & 0x0f),
                _ => return Err(Verdict::failed(format!("{frame:?} came for a message"))),
            }
            whole.extend_from_slice(&frame.payload);
            if frame.first & FIN != 0 {
                return Ok(Frame {
                    first: FIN | kind.unwrap_or(TEXT),
                    payload: whole.freeze(),
                });
            }
        }
    }

    /// Reads on to the server's close frame; its code and reason.
    pub(super) async fn closed(&mut self) -> Outcome<(u16, String)> {
        loop {
            let frame = self.frame().await?;
            if frame.first & 0x0f == CLOSE {
                let code = match *frame.payload {
                    [high, low, ..] => u16::from_be_bytes([high, low]),
                    _ => 1005,
                };
                let reason = frame.payload.get(2..).unwrap_or_default();
                return Ok((code, String::from_utf8_lossy(reason).into_owned()));
            }
        }
    }

    /// Reads on to the server's close frame, which must have this code.
    pub(super) async fn is_closed_with(&mut self, code: u16) -> Outcome {
        let (seen, reason) = self.closed().await?;
        must!(seen == code, "the server closes with {seen} `{reason}`");
        Ok(())
    }

    /// Goes away without a farewell: with a reset of the connection or the stream.
    pub(super) fn reset(self) {
        match self.wire {
            Wire::Http1(client) => client.reset(),
            Wire::Http2(mut stream) => {
                self.log.note("the client resets the stream");
                stream.content.send_reset(h2::Reason::CANCEL);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Outcome<Bytes> {
        match &mut self.wire {
            Wire::Http1(client) => client.exactly(length).await,
            Wire::Http2(stream) => {
                let Stream {
                    response, unread, ..
                } = &mut **stream;
                while unread.len() < length {
                    let part = within(self.patience, "a frame", response.part());
                    match part.await?? {
                        Part::Data(data) => unread.extend_from_slice(&data),
                        end => {
                            return Err(Verdict::failed(format!(
                                "the stream ended ({end:?}) after {} of {length} bytes",
                                unread.len()
                            )));
                        }
                    }
                }
                Ok(unread.split_to(length).freeze())
            }
        }
    }
}

/// Receives the next event after `websocket.connect`.
pub(super) async fn after_connect(app: &mut Remote) -> Outcome<ReceiveEvent> {
    loop {
        match app.receive().await? {
            ReceiveEvent::WebSocketConnect => {}
            event => return Ok(event),
        }
    }
}

/// Receives up to the end of the WebSocket.
pub(super) async fn disconnected(app: &mut Remote) -> Outcome<WebSocketDisconnect> {
    loop {
        match app.receive().await? {
            ReceiveEvent::WebSocketDisconnect(disconnect) => return Ok(disconnect),
            ReceiveEvent::WebSocketConnect | ReceiveEvent::WebSocketReceive(_) => {}
            other => return Err(Verdict::failed(format!("received {other:?}"))),
        }
    }
}
