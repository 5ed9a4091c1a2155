//! The client's side of one exchange, over HTTP/1.1 or HTTP/2: for cases that take the same steps over
//! both.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::http1::Http1;
use super::http2::{Http2, Http2Response, Http2Stream, StreamPart, send_within};
use super::request::{Request, Response};
use super::result::CaseResult;
use super::server::Server;
use crate::Verdict;

/// A version of HTTP that a case runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Http1,
    Http2,
}

/// The client's side of one exchange, which has its own connection.
pub(super) enum ClientExchange {
    Http1(Http1Client),
    Http2(Box<Http2Client>),
}

/// An HTTP/1.1 connection, and the framing of the response on it.
pub(super) struct Http1Client {
    pub(super) client: Http1,
    method: String,
    remaining: Remaining,
}

/// The part of an HTTP/1 response that is still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remaining {
    Chunks,
    Bytes(usize),
}

/// An HTTP/2 connection, and the stream of the exchange.
pub(super) struct Http2Client {
    pub(super) connection: Http2,
    stream: StreamState,
}

enum StreamState {
    Requested(Http2Stream),
    Answered(Box<Http2Response>),
    Finished,
}

/// The next part of a response.
pub(super) enum ResponsePart {
    Content(Bytes),
    /// The response is complete.
    End,
    /// The response was cut off, with this observation of the client.
    Cut(String),
}

impl fmt::Display for ResponsePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(content) => write!(f, "`{}`", content.escape_ascii()),
            Self::End => f.write_str("the end of a complete response"),
            Self::Cut(why) => write!(f, "a cut ({why})"),
        }
    }
}

impl ClientExchange {
    /// Sends a request with all of its content.
    pub(super) async fn begin(
        server: &Server,
        transport: Transport,
        request: &Request,
    ) -> CaseResult<Self> {
        Self::begin_with(server, transport, request, false).await
    }

    /// Sends the head of a request whose content, `length` bytes, follows through
    /// [`ClientExchange::send`].
    pub(super) async fn begin_content(
        server: &Server,
        transport: Transport,
        request: Request,
        length: usize,
    ) -> CaseResult<Self> {
        let request = request.field("content-length", &length.to_string());
        Self::begin_with(server, transport, &request, true).await
    }

    async fn begin_with(
        server: &Server,
        transport: Transport,
        request: &Request,
        more: bool,
    ) -> CaseResult<Self> {
        match transport {
            Transport::Http1 => Self::begin_http1(server, request).await,
            Transport::Http2 => {
                let mut connection = server.connect_http2().await?;
                let exchange = connection.begin(request, more).await?;
                Ok(Self::of_http2(connection, exchange))
            }
        }
    }

    /// Sends a request of HTTP/1.1.
    pub(super) async fn begin_http1(server: &Server, request: &Request) -> CaseResult<Self> {
        let mut client = server.connect().await?;
        client.send(request.http1()).await?;
        Ok(Self::Http1(Http1Client {
            client,
            method: request.method.clone(),
            remaining: Remaining::Chunks,
        }))
    }

    /// Returns the exchange of a stream that has been begun on this connection.
    pub(super) fn of_http2(connection: Http2, exchange: Http2Stream) -> Self {
        let stream = StreamState::Requested(exchange);
        Self::Http2(Box::new(Http2Client { connection, stream }))
    }

    /// Returns the client's address.
    pub(super) fn address(&self) -> CaseResult<SocketAddr> {
        match self {
            Self::Http1(side) => side.client.address(),
            Self::Http2(side) => Ok(side.connection.address),
        }
    }

    /// Sends the next part of the request's content.
    pub(super) async fn send(&mut self, content: impl Into<Bytes>, is_last: bool) -> CaseResult {
        let content = content.into();
        match self {
            Self::Http1(side) => side.client.send(content).await,
            Self::Http2(side) => {
                let StreamState::Requested(exchange) = &mut side.stream else {
                    return Err(wrong("sends content after the answer"));
                };
                exchange
                    .content
                    .send_data(content, is_last)
                    .map_err(|error| Verdict::failed(format!("the stream is gone: {error}")))
            }
        }
    }

    /// Sends as much of the request's content as the server takes at once within this time. Returns
    /// how much that is.
    pub(super) async fn send_within(&mut self, time: Duration, octets: &[u8]) -> CaseResult<usize> {
        match self {
            Self::Http1(side) => side.client.send_within(time, octets).await,
            Self::Http2(side) => match &mut side.stream {
                StreamState::Requested(exchange) => {
                    send_within(time, &mut exchange.content, octets).await
                }
                _ => Err(wrong("sends content after the answer")),
            },
        }
    }

    /// Reads the head of the response.
    pub(super) async fn head(&mut self) -> CaseResult<Response> {
        match self {
            Self::Http1(side) => {
                let head = side.client.head().await?;
                let length = head.field("content-length");
                side.remaining = match length.and_then(|length| length.parse().ok()) {
                    Some(length) => Remaining::Bytes(length),
                    None => Remaining::Chunks,
                };
                Ok(head)
            }
            Self::Http2(side) => side.answered().await.map(|response| response.head.clone()),
        }
    }

    /// Reads the next part of the response, after its head.
    pub(super) async fn next(&mut self) -> CaseResult<ResponsePart> {
        match self {
            Self::Http1(side) => side.next().await,
            Self::Http2(side) => loop {
                return Ok(match side.answered().await?.part().await? {
                    // A frame may be empty.
                    StreamPart::Data(data) if data.is_empty() => continue,
                    StreamPart::Data(data) => ResponsePart::Content(data),
                    StreamPart::End => ResponsePart::End,
                    StreamPart::Reset(error) => ResponsePart::Cut(error.to_string()),
                });
            },
        }
    }

    /// Reads the rest of the response. Returns the content and how the response ended, which may also be
    /// before its head.
    pub(super) async fn end(&mut self) -> CaseResult<(Vec<u8>, ResponsePart)> {
        if let Self::Http2(side) = self
            && let StreamState::Requested(_) = side.stream
            && let Some(error) = side.answer().await?
        {
            return Ok((Vec::new(), ResponsePart::Cut(error)));
        }
        let mut content = Vec::new();
        loop {
            match self.next().await? {
                ResponsePart::Content(more) => content.extend_from_slice(&more),
                end => return Ok((content, end)),
            }
        }
    }

    /// Reads the whole response.
    pub(super) async fn response(&mut self) -> CaseResult<Response> {
        match self {
            Self::Http1(side) => side.client.response_to(&side.method).await,
            Self::Http2(side) => {
                side.answered().await?;
                match std::mem::replace(&mut side.stream, StreamState::Finished) {
                    StreamState::Answered(response) => response.read_all().await,
                    _ => Err(wrong("reads a response twice")),
                }
            }
        }
    }

    /// Returns whether any part of the response has come, without waiting. [`ClientExchange::fence`]
    /// waits for what is on its way.
    pub(super) async fn has_answer(&mut self) -> CaseResult<bool> {
        match self {
            Self::Http1(side) => Ok(!side.client.unread_now().is_empty()),
            Self::Http2(side) => match &mut side.stream {
                StreamState::Requested(exchange) => Ok(exchange.has_answer()),
                _ => Ok(true),
            },
        }
    }

    /// Has the application called once more, over HTTP/2 on the same connection. What the server had
    /// to send before has come by then. The next call must be that one.
    pub(super) async fn fence(&mut self, server: &mut Server) -> CaseResult {
        match self {
            Self::Http1(_) => server.fence().await,
            Self::Http2(side) => {
                side.connection.exchange(&Request::fence()).await?;
                server.call().await?.ended().await.map(|_| ())
            }
        }
    }

    /// Returns the HTTP/2 connection after the exchange.
    pub(super) fn into_http2(self) -> Option<Http2> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(side) => Some(side.connection),
        }
    }

    /// Resets the connection or, over HTTP/2, the stream. Returns the HTTP/2 connection, which goes on.
    pub(super) fn reset(self) -> Option<Http2> {
        match self {
            Self::Http1(side) => {
                side.client.reset();
                None
            }
            Self::Http2(side) => {
                let side = *side;
                match side.stream {
                    StreamState::Requested(exchange) => exchange.reset(),
                    StreamState::Answered(response) => response.reset(),
                    StreamState::Finished => {}
                }
                Some(side.connection)
            }
        }
    }
}

impl Http1Client {
    async fn next(&mut self) -> CaseResult<ResponsePart> {
        match self.remaining {
            Remaining::Chunks => {
                if self.client.is_at_end().await? {
                    return Ok(ResponsePart::Cut(
                        "the connection ended before the last chunk".into(),
                    ));
                }
                Ok(match self.client.chunk().await? {
                    Some(chunk) => ResponsePart::Content(chunk),
                    None => {
                        self.client.read_exactly(2).await?;
                        ResponsePart::End
                    }
                })
            }
            Remaining::Bytes(0) => Ok(ResponsePart::End),
            Remaining::Bytes(length) => match self.client.read_up_to(length).await? {
                Some(content) => {
                    self.remaining = Remaining::Bytes(length - content.len());
                    Ok(ResponsePart::Content(content))
                }
                None => Ok(ResponsePart::Cut(format!(
                    "the connection ended {length} bytes before the end"
                ))),
            },
        }
    }
}

impl Http2Client {
    /// Returns the connection and the stream, whose response must not have begun.
    pub(super) fn unanswered(self) -> CaseResult<(Http2, Http2Stream)> {
        match self.stream {
            StreamState::Requested(exchange) => Ok((self.connection, exchange)),
            _ => Err(wrong("reads a response twice")),
        }
    }

    /// Returns the response, after its head has come.
    async fn answered(&mut self) -> CaseResult<&mut Http2Response> {
        if let Some(error) = self.answer().await? {
            return Err(Verdict::failed(format!("the stream was reset: {error}")));
        }
        match &mut self.stream {
            StreamState::Answered(response) => Ok(response),
            _ => Err(wrong("reads a response that is over")),
        }
    }

    /// Waits for the head of the response. Returns the error of a stream that ended without one.
    async fn answer(&mut self) -> CaseResult<Option<String>> {
        match std::mem::replace(&mut self.stream, StreamState::Finished) {
            StreamState::Requested(exchange) => match exchange.answer().await? {
                Ok(response) => self.stream = StreamState::Answered(Box::new(response)),
                Err(error) => return Ok(Some(error.to_string())),
            },
            other => self.stream = other,
        }
        Ok(None)
    }
}

fn wrong(what: &str) -> Verdict {
    Verdict::failed(format!("the case is wrong: it {what}"))
}
