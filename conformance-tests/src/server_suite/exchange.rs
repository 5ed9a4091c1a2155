//! One exchange on a connection of its own, over HTTP/1.1 or HTTP/2: for cases that take the same
//! steps in both.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::case::Outcome;
use super::http1::Http1;
use super::http2::{Http2, Http2Exchange, Http2Response, Part, send_within};
use super::request::{Request, Response};
use super::server::Server;
use crate::Verdict;

/// A version of HTTP that a case is done in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Http1,
    Http2,
}

/// The client's side of one exchange.
pub(super) enum Exchange {
    Http1(Http1Side),
    Http2(Box<Http2Side>),
}

/// An HTTP/1.1 connection, and how the response on it goes on.
pub(super) struct Http1Side {
    pub(super) client: Http1,
    method: String,
    rest: Rest,
}

/// What of a response of HTTP/1 is still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Chunks,
    Bytes(usize),
}

/// An HTTP/2 connection, and the one stream on it that counts.
pub(super) struct Http2Side {
    pub(super) connection: Http2,
    stream: Stream,
}

enum Stream {
    Asked(Http2Exchange),
    Answered(Box<Http2Response>),
    Over,
}

/// How a response goes on.
pub(super) enum Next {
    Content(Bytes),
    /// It is whole.
    End,
    /// It never will be: what was seen.
    Cut(String),
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(content) => write!(f, "`{}`", content.escape_ascii()),
            Self::End => f.write_str("its end, as of a whole response"),
            Self::Cut(why) => write!(f, "a cut ({why})"),
        }
    }
}

impl Exchange {
    /// Sends a request with all of its content.
    pub(super) async fn begin(server: &Server, over: Over, request: &Request) -> Outcome<Self> {
        Self::begin_with(server, over, request, false).await
    }

    /// Sends a request of which content is still to come, `length` bytes in all, through
    /// [`Exchange::send`].
    pub(super) async fn begin_content(
        server: &Server,
        over: Over,
        request: Request,
        length: usize,
    ) -> Outcome<Self> {
        let request = request.field("content-length", &length.to_string());
        Self::begin_with(server, over, &request, true).await
    }

    async fn begin_with(
        server: &Server,
        over: Over,
        request: &Request,
        more: bool,
    ) -> Outcome<Self> {
        match over {
            Over::Http1 => Self::begin_http1(server, request).await,
            Over::Http2 => {
                let mut connection = server.connect_http2().await?;
                let exchange = connection.begin(request, more).await?;
                Ok(Self::of_http2(connection, exchange))
            }
        }
    }

    /// Sends a request of HTTP/1.1.
    pub(super) async fn begin_http1(server: &Server, request: &Request) -> Outcome<Self> {
        let mut client = server.connect().await?;
        client.send(request.http1()).await?;
        Ok(Self::Http1(Http1Side {
            client,
            method: request.method.clone(),
            rest: Rest::Chunks,
        }))
    }

    /// One that has been begun on this connection.
    pub(super) fn of_http2(connection: Http2, exchange: Http2Exchange) -> Self {
        let stream = Stream::Asked(exchange);
        Self::Http2(Box::new(Http2Side { connection, stream }))
    }

    /// The client's own address.
    pub(super) fn address(&self) -> Outcome<SocketAddr> {
        match self {
            Self::Http1(side) => side.client.address(),
            Self::Http2(side) => Ok(side.connection.address),
        }
    }

    /// Sends the next of the request's content.
    pub(super) async fn send(&mut self, content: impl Into<Bytes>, is_last: bool) -> Outcome {
        let content = content.into();
        match self {
            Self::Http1(side) => side.client.send(content).await,
            Self::Http2(side) => {
                let Stream::Asked(exchange) = &mut side.stream else {
                    return Err(wrong("sends content after the answer"));
                };
                exchange
                    .content
                    .send_data(content, is_last)
                    .map_err(|error| Verdict::failed(format!("the stream is gone: {error}")))
            }
        }
    }

    /// Sends as much of this, of the request's content, as is taken together within this time; how
    /// much.
    pub(super) async fn send_within(&mut self, time: Duration, octets: &[u8]) -> Outcome<usize> {
        match self {
            Self::Http1(side) => side.client.send_within(time, octets).await,
            Self::Http2(side) => match &mut side.stream {
                Stream::Asked(exchange) => send_within(time, &mut exchange.content, octets).await,
                _ => Err(wrong("sends content after the answer")),
            },
        }
    }

    /// Reads the head of the response.
    pub(super) async fn head(&mut self) -> Outcome<Response> {
        match self {
            Self::Http1(side) => {
                let head = side.client.head().await?;
                let length = head.field("content-length");
                side.rest = match length.and_then(|length| length.parse().ok()) {
                    Some(length) => Rest::Bytes(length),
                    None => Rest::Chunks,
                };
                Ok(head)
            }
            Self::Http2(side) => side.answered().await.map(|response| response.head.clone()),
        }
    }

    /// Reads the next of the response's content, after its head.
    pub(super) async fn next(&mut self) -> Outcome<Next> {
        match self {
            Self::Http1(side) => side.next().await,
            Self::Http2(side) => loop {
                return Ok(match side.answered().await?.part().await? {
                    // A frame may be empty.
                    Part::Data(data) if data.is_empty() => continue,
                    Part::Data(data) => Next::Content(data),
                    Part::End => Next::End,
                    Part::Reset(error) => Next::Cut(error.to_string()),
                });
            },
        }
    }

    /// Reads the rest of the response; how it ended. One may also be cut before its head.
    pub(super) async fn end(&mut self) -> Outcome<(Vec<u8>, Next)> {
        if let Self::Http2(side) = self
            && let Stream::Asked(_) = side.stream
            && let Some(error) = side.answer().await?
        {
            return Ok((Vec::new(), Next::Cut(error)));
        }
        let mut content = Vec::new();
        loop {
            match self.next().await? {
                Next::Content(more) => content.extend_from_slice(&more),
                end => return Ok((content, end)),
            }
        }
    }

    /// Reads the whole response.
    pub(super) async fn response(&mut self) -> Outcome<Response> {
        match self {
            Self::Http1(side) => side.client.response_to(&side.method).await,
            Self::Http2(side) => {
                side.answered().await?;
                match std::mem::replace(&mut side.stream, Stream::Over) {
                    Stream::Answered(response) => response.whole().await,
                    _ => Err(wrong("reads a response twice")),
                }
            }
        }
    }

    /// Whether anything of the response has come up to now. What may have been on its way must have
    /// been waited for: with [`Exchange::fence`].
    pub(super) async fn has_answer(&mut self) -> Outcome<bool> {
        match self {
            Self::Http1(side) => Ok(!side.client.unread_now().is_empty()),
            Self::Http2(side) => match &mut side.stream {
                Stream::Asked(exchange) => Ok(exchange.has_answer()),
                _ => Ok(true),
            },
        }
    }

    /// Has the application called once more, in HTTP/2 on the same connection: what the server had to
    /// send before has come by then. The next call must be that one.
    pub(super) async fn fence(&mut self, server: &mut Server) -> Outcome {
        match self {
            Self::Http1(_) => server.fence().await,
            Self::Http2(side) => {
                side.connection.exchange(&Request::fence()).await?;
                server.call().await?.ended().await.map(|_| ())
            }
        }
    }

    /// The HTTP/2 connection, when the exchange is over.
    pub(super) fn into_http2(self) -> Option<Http2> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(side) => Some(side.connection),
        }
    }

    /// Goes away from the exchange: resets the connection or, in HTTP/2, the stream. Gives the
    /// HTTP/2 connection, which goes on.
    pub(super) fn reset(self) -> Option<Http2> {
        match self {
            Self::Http1(side) => {
                side.client.reset();
                None
            }
            Self::Http2(side) => {
                let side = *side;
                match side.stream {
                    Stream::Asked(exchange) => exchange.reset(),
                    Stream::Answered(response) => response.reset(),
                    Stream::Over => {}
                }
                Some(side.connection)
            }
        }
    }
}

impl Http1Side {
    /// That the server closes the connection, and sends nothing more.
    pub(super) async fn is_closed(&mut self) -> Outcome {
        self.client.is_closed().await
    }

    async fn next(&mut self) -> Outcome<Next> {
        match self.rest {
            Rest::Chunks => {
                if self.client.is_at_end().await? {
                    return Ok(Next::Cut(
                        "the connection ended before the last chunk".into(),
                    ));
                }
                Ok(match self.client.chunk().await? {
                    Some(chunk) => Next::Content(chunk),
                    None => {
                        self.client.exactly(2).await?;
                        Next::End
                    }
                })
            }
            Rest::Bytes(0) => Ok(Next::End),
            Rest::Bytes(length) => match self.client.some(length).await? {
                Some(content) => {
                    self.rest = Rest::Bytes(length - content.len());
                    Ok(Next::Content(content))
                }
                None => Ok(Next::Cut(format!(
                    "the connection ended {length} bytes before the end"
                ))),
            },
        }
    }
}

impl Http2Side {
    /// The connection, and the exchange if it has not been answered.
    pub(super) fn unanswered(self) -> Outcome<(Http2, Http2Exchange)> {
        match self.stream {
            Stream::Asked(exchange) => Ok((self.connection, exchange)),
            _ => Err(wrong("reads a response twice")),
        }
    }

    /// The response; its head is waited for if need be.
    async fn answered(&mut self) -> Outcome<&mut Http2Response> {
        if let Some(error) = self.answer().await? {
            return Err(Verdict::failed(format!("the stream was reset: {error}")));
        }
        match &mut self.stream {
            Stream::Answered(response) => Ok(response),
            _ => Err(wrong("reads a response that is over")),
        }
    }

    /// Waits for the head of the response; the error if there is none.
    async fn answer(&mut self) -> Outcome<Option<String>> {
        match std::mem::replace(&mut self.stream, Stream::Over) {
            Stream::Asked(exchange) => match exchange.answer().await? {
                Ok(response) => self.stream = Stream::Answered(Box::new(response)),
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
