//! A client of WebSockets that writes frames octet by octet (RFC 6455, 5.2), over an upgraded HTTP/1.1
//! connection or over an HTTP/2 stream (RFC 8441).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use callgate::{ReceiveEvent, WebSocketAccept, WebSocketDisconnect};
use h2::SendStream;

use super::case_log::CaseLog;
use super::client_exchange::{ClientExchange, Transport};
use super::http1::Http1;
use super::http2::{Http2, Http2Response, StreamPart, send_within};
use super::probe_call::ProbeCall;
use super::request::{Request, Response};
use super::result::{CaseResult, must, within};
use super::server::Server;
use crate::Verdict;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
/// Set in the first byte of a message's last frame.
pub(crate) const FIN: u8 = 0x80;
/// Set in the first byte of a compressed message's first frame (RFC 7692, 6).
pub(crate) const COMPRESSED: u8 = 0x40;

/// The largest frame that is read, in bytes.
const MAX_FRAME: u64 = 1 << 20;

/// The example of RFC 6455, 1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Returns a handshake in the form of HTTP/1.1. Transport HTTP/2 it goes without what only HTTP/1.1
/// has.
pub(super) fn handshake() -> Request {
    handshake_to("/")
}

/// Returns a handshake to this target.
pub(super) fn handshake_to(target: &str) -> Request {
    Request::get(target)
        .field("connection", "upgrade")
        .field("upgrade", "websocket")
        .field("sec-websocket-version", "13")
        .field("sec-websocket-key", KEY)
}

/// A handshake that the client has sent, and that the server has not answered.
pub(super) struct PendingHandshake(ClientExchange);

/// Opens a connection, and sends a handshake.
pub(super) async fn begin_handshake(
    server: &Server,
    transport: Transport,
    handshake: &Request,
) -> CaseResult<PendingHandshake> {
    Ok(PendingHandshake(match transport {
        Transport::Http1 => ClientExchange::begin_http1(server, handshake).await?,
        Transport::Http2 => {
            let mut client = connect_http2(server).await?;
            if !client.supports_extended_connect() {
                return Err(Verdict::NotApplicable(
                    "the server does not offer WebSockets over HTTP/2".into(),
                ));
            }
            let exchange = client
                .begin_extended_connect(&extended_connect(handshake), "websocket")
                .await?;
            ClientExchange::of_http2(client, exchange)
        }
    }))
}

/// Opens an HTTP/2 connection, and waits for the server's settings.
pub(super) async fn connect_http2(server: &Server) -> CaseResult<Http2> {
    let mut client = server.connect_http2().await?;
    client.wait_for_settings().await?;
    Ok(client)
}

/// Returns the handshake as HTTP/2 has it (RFC 8441, 5).
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
pub(super) async fn open(
    server: &mut Server,
    transport: Transport,
) -> CaseResult<(ProbeCall, WebSocket)> {
    let pending = begin_handshake(server, transport, &handshake()).await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    Ok((app, pending.opened(server).await?))
}

impl PendingHandshake {
    /// Reads the head of the answer, which must open the WebSocket.
    pub(super) async fn opened(self, server: &Server) -> CaseResult<WebSocket> {
        let (response, websocket) = self.answered(server).await?;
        let opens = match websocket.connection {
            WebSocketConnection::Http1(_) => response.status == 101,
            WebSocketConnection::Http2(_) => response.status == 200,
        };
        must!(
            opens,
            "the handshake was answered with {}, not accepted",
            response.status
        );
        Ok(websocket)
    }

    /// Reads the head of the answer. The octets after it are read as frames.
    pub(super) async fn answered(self, server: &Server) -> CaseResult<(Response, WebSocket)> {
        let (head, connection) = match self.0 {
            ClientExchange::Http1(mut side) => (
                side.client.head().await?,
                WebSocketConnection::Http1(side.client),
            ),
            ClientExchange::Http2(side) => {
                let (client, exchange) = side.unanswered()?;
                let (response, content) = exchange.head_and_content().await?;
                let head = response.head.clone();
                let stream = WebSocketStream {
                    content,
                    response,
                    unread: BytesMut::new(),
                    _client: client,
                };
                (head, WebSocketConnection::Http2(Box::new(stream)))
            }
        };
        let websocket = WebSocket {
            connection,
            log: server.log().clone(),
            timeout: server.timeout(),
        };
        Ok((head, websocket))
    }

    /// Reads the whole answer as an HTTP response.
    pub(super) async fn response(mut self) -> CaseResult<Response> {
        self.0.response().await
    }

    /// Reads the status of the answer, unless the server calls the application first.
    pub(super) async fn refused_status(mut self, server: &mut Server) -> CaseResult<u16> {
        server.refused(self.0.head()).await.map(|head| head.status)
    }

    /// Returns whether a part of the answer has come, without waiting.
    pub(super) async fn has_answer(&mut self) -> CaseResult<bool> {
        self.0.has_answer().await
    }

    /// Resets the connection or the stream.
    pub(super) fn reset(self) {
        self.0.reset();
    }
}

/// An open WebSocket.
pub(super) struct WebSocket {
    connection: WebSocketConnection,
    log: CaseLog,
    timeout: Duration,
}

enum WebSocketConnection {
    Http1(Http1),
    Http2(Box<WebSocketStream>),
}

/// Both directions of an HTTP/2 stream.
struct WebSocketStream {
    content: SendStream<Bytes>,
    response: Http2Response,
    /// The read buffer.
    unread: BytesMut,
    /// The connection, which ends when this is dropped.
    _client: Http2,
}

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its first byte: [`FIN`], the reserved bits, and what kind it is.
    pub(super) first: u8,
    pub(super) payload: Bytes,
}

/// Returns a client's frame, which is masked and has this first byte.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
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

/// Returns a text message in one frame.
pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text)
}

/// Returns a close frame with this code and reason.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(FIN | CLOSE, payload)
}

impl WebSocket {
    /// Writes these octets.
    pub(super) async fn send(&mut self, octets: impl AsRef<[u8]>) -> CaseResult {
        let octets = octets.as_ref();
        match &mut self.connection {
            WebSocketConnection::Http1(client) => client.send(octets).await,
            WebSocketConnection::Http2(stream) => {
                let note = format!("the client sends `{}`", octets.escape_ascii());
                self.log.note(note);
                stream
                    .content
                    .send_data(Bytes::copy_from_slice(octets), false)
                    .map_err(|error| Verdict::failed(format!("the server takes nothing: {error}")))
            }
        }
    }

    /// Writes as many of these octets as the server takes at once within this time. Returns their
    /// number.
    pub(super) async fn send_within(&mut self, time: Duration, octets: &[u8]) -> CaseResult<usize> {
        match &mut self.connection {
            WebSocketConnection::Http1(client) => client.send_within(time, octets).await,
            WebSocketConnection::Http2(stream) => {
                send_within(time, &mut stream.content, octets).await
            }
        }
    }

    /// Reads a frame of the server.
    pub(super) async fn frame(&mut self) -> CaseResult<Frame> {
        let head = self.read_exactly(2).await?;
        must!(head[1] & 0x80 == 0, "the server masks its frames");
        let length = match head[1] {
            126 => {
                let length = self.read_exactly(2).await?;
                u16::from_be_bytes([length[0], length[1]]).into()
            }
            127 => {
                let length = self.read_exactly(8).await?;
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
            .read_exactly(usize::try_from(length).unwrap_or_default())
            .await?;
        Ok(Frame {
            first: head[0],
            payload,
        })
    }

    /// Reads the next message: its frames together, without pings and pongs between them. The first byte
    /// tells whether it is compressed.
    pub(super) async fn message(&mut self) -> CaseResult<Frame> {
        let mut first = None;
        let mut whole = BytesMut::new();
        loop {
            let frame = self.frame().await?;
            match frame.first & 0x0f {
                PING | PONG => continue,
                CONTINUATION if first.is_some() => {}
                TEXT | BINARY if first.is_none() => first = Some(frame.first & !FIN),
                _ => return Err(Verdict::failed(format!("{frame:?} came for a message"))),
            }
            whole.extend_from_slice(&frame.payload);
            if frame.first & FIN != 0 {
                return Ok(Frame {
                    first: FIN | first.unwrap_or(TEXT),
                    payload: whole.freeze(),
                });
            }
        }
    }

    /// Reads on to the server's close frame. Returns its code and reason.
    pub(super) async fn closed(&mut self) -> CaseResult<(u16, String)> {
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
    pub(super) async fn expect_close_code(&mut self, code: u16) -> CaseResult {
        let (seen, reason) = self.closed().await?;
        must!(seen == code, "the server closes with {seen} `{reason}`");
        Ok(())
    }

    /// Resets the connection or the stream, without a close frame.
    pub(super) fn reset(self) {
        match self.connection {
            WebSocketConnection::Http1(client) => client.reset(),
            WebSocketConnection::Http2(mut stream) => {
                self.log.note("the client resets the stream");
                stream.content.send_reset(h2::Reason::CANCEL);
            }
        }
    }

    /// Waits for `work` while the client reads what comes, as [`Http1::read_during`] does.
    pub(super) async fn read_during<T>(
        &mut self,
        work: impl Future<Output = CaseResult<T>>,
    ) -> CaseResult<T> {
        match &mut self.connection {
            WebSocketConnection::Http1(client) => client.read_during(work).await,
            // The task of the connection reads.
            WebSocketConnection::Http2(_) => work.await,
        }
    }

    async fn read_exactly(&mut self, length: usize) -> CaseResult<Bytes> {
        match &mut self.connection {
            WebSocketConnection::Http1(client) => client.read_exactly(length).await,
            WebSocketConnection::Http2(stream) => {
                let WebSocketStream {
                    response, unread, ..
                } = &mut **stream;
                while unread.len() < length {
                    let part = within(self.timeout, "a frame", response.part());
                    match part.await?? {
                        StreamPart::Data(data) => unread.extend_from_slice(&data),
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
pub(super) async fn after_connect(app: &mut ProbeCall) -> CaseResult<ReceiveEvent> {
    loop {
        match app.receive().await? {
            ReceiveEvent::WebSocketConnect => {}
            event => return Ok(event),
        }
    }
}

/// Receives up to the end of the WebSocket.
pub(super) async fn disconnected(app: &mut ProbeCall) -> CaseResult<WebSocketDisconnect> {
    loop {
        match app.receive().await? {
            ReceiveEvent::WebSocketDisconnect(disconnect) => return Ok(disconnect),
            ReceiveEvent::WebSocketConnect | ReceiveEvent::WebSocketReceive(_) => {}
            other => return Err(Verdict::failed(format!("received {other:?}"))),
        }
    }
}

/// Receives up to the end of the WebSocket, which must have this code.
pub(super) async fn expect_disconnect_code(app: &mut ProbeCall, code: u16) -> CaseResult {
    let disconnect = disconnected(app).await?;
    must!(
        disconnect.code == code,
        "the application received {disconnect:?}"
    );
    Ok(())
}
