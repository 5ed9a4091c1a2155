//! A client of HTTP/2 by prior knowledge.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, PingPong, RecvStream, SendStream};
use http::{Method, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::bench::Log;
use super::case::Outcome;
use super::remote::within;
use super::request::{Request, Response};
use crate::Verdict;

/// One connection.
pub(super) struct Http2 {
    requests: SendRequest<Bytes>,
    pings: Option<PingPong>,
    /// Reads and writes, until the connection ends; then says how.
    driving: JoinHandle<Result<(), h2::Error>>,
    /// The client's own address.
    pub(super) address: SocketAddr,
    log: Log,
    patience: Duration,
}

/// One exchange on it: a stream, in the words of HTTP/2.
pub(super) struct Http2Exchange {
    response: ResponseFuture,
    /// What [`Http2Exchange::has_answer`] has seen.
    answered: Option<Answered>,
    /// For the request's content.
    pub(super) content: SendStream<Bytes>,
    log: Log,
    patience: Duration,
}

type Answered = Result<http::Response<RecvStream>, h2::Error>;

/// A response whose content is still to be read.
pub(super) struct Http2Response {
    /// Status and fields.
    pub(super) head: Response,
    content: RecvStream,
    /// What can still be sent: a reset.
    request: Option<SendStream<Bytes>>,
    log: Log,
    patience: Duration,
}

/// How the content of a response goes on.
#[derive(Debug)]
pub(super) enum Part {
    Data(Bytes),
    /// The end, orderly.
    End,
    /// The end, as the stream or the connection was reset: why.
    Reset(h2::Error),
}

/// What a client says first: the preface and a SETTINGS frame without settings.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The bytes of a frame's head, and among them the one with its type.
const FRAME_HEAD: usize = 9;
const FRAME_TYPE: usize = 3;
/// The type of a SETTINGS frame.
const SETTINGS: u8 = 4;

/// Whether a server answers as one of HTTP/2 must: with SETTINGS.
pub(super) async fn is_spoken(mut stream: TcpStream, patience: Duration) -> bool {
    let answer = async {
        stream.write_all(GREETING).await?;
        let mut head = [0; FRAME_HEAD];
        stream.read_exact(&mut head).await?;
        std::io::Result::Ok(head[FRAME_TYPE] == SETTINGS)
    };
    let answer = tokio::time::timeout(patience, answer).await;
    answer.is_ok_and(|answer| answer.unwrap_or(false))
}

impl Http2 {
    /// Greets the server.
    pub(super) async fn new(stream: TcpStream, log: Log, patience: Duration) -> Outcome<Self> {
        let address = stream
            .local_addr()
            .map_err(|error| Verdict::failed(format!("the connection is gone: {error}")))?;
        let greeting = within(
            patience,
            "an HTTP/2 connection",
            h2::client::handshake(stream),
        );
        let (requests, mut connection) = greeting
            .await?
            .map_err(|error| Verdict::failed(format!("it does not speak HTTP/2: {error}")))?;
        Ok(Self {
            requests,
            pings: connection.ping_pong(),
            driving: tokio::spawn(connection),
            address,
            log,
            patience,
        })
    }

    /// Sends the head of a request, and its content if there is any; with `more`, content is to
    /// follow through [`Http2Exchange::content`].
    pub(super) async fn begin(&mut self, request: &Request, more: bool) -> Outcome<Http2Exchange> {
        self.begin_with(head(request)?, &request.body, more).await
    }

    /// Sends the head of an extended CONNECT (RFC 8441) for this protocol, whose octets are to
    /// follow through [`Http2Exchange::content`].
    pub(super) async fn begin_extended_connect(
        &mut self,
        request: &Request,
        protocol: &'static str,
    ) -> Outcome<Http2Exchange> {
        let mut head = head(request)?;
        head.extensions_mut()
            .insert(Protocol::from_static(protocol));
        self.begin_with(head, &[], true).await
    }

    async fn begin_with(
        &mut self,
        head: http::Request<()>,
        body: &[u8],
        more: bool,
    ) -> Outcome<Http2Exchange> {
        self.log.note(format!("the client sends {head:?}"));
        let ready = within(
            self.patience,
            "the server to take a request",
            self.requests.clone().ready(),
        );
        self.requests = ready.await?.map_err(broken)?;
        let ends = body.is_empty() && !more;
        let (response, mut content) = self.requests.send_request(head, ends).map_err(broken)?;
        if !body.is_empty() {
            content
                .send_data(Bytes::copy_from_slice(body), !more)
                .map_err(broken)?;
        }
        Ok(Http2Exchange {
            response,
            answered: None,
            content,
            log: self.log.clone(),
            patience: self.patience,
        })
    }

    /// Sends a request and reads the whole response to it.
    pub(super) async fn exchange(&mut self, request: &Request) -> Outcome<Response> {
        self.begin(request, false)
            .await?
            .head()
            .await?
            .whole()
            .await
    }

    /// Waits until the server's settings have come: its answer to a ping comes after them.
    pub(super) async fn settled(&mut self) -> Outcome {
        if let Some(pings) = &mut self.pings {
            let answer = pings.ping(Ping::opaque());
            let answer = within(self.patience, "the settings of HTTP/2", answer);
            answer.await?.map_err(broken)?;
        }
        Ok(())
    }

    /// Whether its settings, once they have come, say that it takes an extended CONNECT.
    pub(super) fn takes_extended_connect(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    /// Waits until the server has ended the connection; what a further request comes to then. That
    /// is a GOAWAY, if the server has sent one.
    pub(super) async fn farewell(self) -> Outcome<h2::Error> {
        let ended = within(self.patience, "the end of the connection", self.driving);
        // How it ended is what the request comes to.
        let _ = ended.await?;
        let ready = within(
            self.patience,
            "the fate of a request",
            self.requests.ready(),
        );
        match ready.await? {
            Err(error) => Ok(error),
            Ok(_) => Err(Verdict::failed(
                "the connection takes a request after its end",
            )),
        }
    }
}

impl Http2Exchange {
    /// Reads the head of the response.
    pub(super) async fn head(self) -> Outcome<Http2Response> {
        self.answer().await?.map_err(broken)
    }

    /// Reads the head of the response; the request's content stays open.
    pub(super) async fn head_and_content(self) -> Outcome<(Http2Response, SendStream<Bytes>)> {
        let Self {
            response,
            answered,
            content,
            log,
            patience,
        } = self;
        let head = answer(response, answered, None, log, patience).await?;
        Ok((head.map_err(broken)?, content))
    }

    /// Reads the head of the response, or how the stream ended without one.
    pub(super) async fn answer(self) -> Outcome<Result<Http2Response, h2::Error>> {
        answer(
            self.response,
            self.answered,
            Some(self.content),
            self.log,
            self.patience,
        )
        .await
    }

    /// Whether the head of the response, or the end of the stream, has come. Does not wait for any.
    pub(super) fn has_answer(&mut self) -> bool {
        if self.answered.is_none() {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(answered) = Pin::new(&mut self.response).poll(&mut cx) {
                self.answered = Some(answered);
            }
        }
        self.answered.is_some()
    }

    /// Resets the stream, as a client does that is no longer interested.
    pub(super) fn reset(mut self) {
        self.log.note("the client resets the stream");
        self.content.send_reset(h2::Reason::CANCEL);
    }
}

impl Http2Response {
    /// Reads the next of the content, and makes room for as much.
    pub(super) async fn part(&mut self) -> Outcome<Part> {
        let data = within(
            self.patience,
            "the content of a response",
            self.content.data(),
        );
        Ok(match data.await? {
            None => Part::End,
            Some(Ok(data)) => {
                self.log
                    .note(format!("the server sends `{}`", data.escape_ascii()));
                // Room that a stream has no use for is no loss.
                let _ = self.content.flow_control().release_capacity(data.len());
                Part::Data(data)
            }
            Some(Err(error)) => {
                self.log.note(format!("the stream is reset: {error}"));
                Part::Reset(error)
            }
        })
    }

    /// That this comes next of the content, in as many parts as the server likes.
    pub(super) async fn arrives(&mut self, content: &[u8]) -> Outcome {
        let mut read = Vec::new();
        while read.len() < content.len() {
            match self.part().await? {
                Part::Data(data) => read.extend_from_slice(&data),
                Part::End => break,
                Part::Reset(error) => return Err(broken(error)),
            }
        }
        match read == content {
            true => Ok(()),
            false => Err(Verdict::failed(format!(
                "there came `{}` in place of `{}`",
                read.escape_ascii(),
                content.escape_ascii()
            ))),
        }
    }

    /// Resets the stream, as a client does that has had enough.
    pub(super) fn reset(mut self) {
        self.log.note("the client resets the stream");
        if let Some(request) = &mut self.request {
            request.send_reset(h2::Reason::CANCEL);
        }
    }

    /// Reads the whole content, which must end in an orderly way, and the trailer fields.
    pub(super) async fn whole(mut self) -> Outcome<Response> {
        loop {
            match self.part().await? {
                Part::Data(data) => self.head.body.extend_from_slice(&data),
                Part::End => break,
                Part::Reset(error) => return Err(broken(error)),
            }
        }
        let trailers = within(self.patience, "trailer fields", self.content.trailers());
        if let Some(trailers) = trailers.await?.map_err(broken)? {
            self.log.note(format!("the server sends {trailers:?}"));
            self.head.trailers = trailers;
        }
        Ok(self.head)
    }
}

/// Sends as much of `octets` as the server makes room for within this time; how much that is.
pub(super) async fn send_within(
    time: Duration,
    content: &mut SendStream<Bytes>,
    octets: &[u8],
) -> Outcome<usize> {
    content.reserve_capacity(octets.len());
    let made_room = async {
        while content.capacity() == 0 {
            match poll_fn(|cx| content.poll_capacity(cx)).await {
                Some(room) => room.map_err(broken)?,
                None => return Err(Verdict::failed("the server has ended the stream")),
            };
        }
        Ok(())
    };
    match tokio::time::timeout(time, made_room).await {
        Err(_) => return Ok(0),
        Ok(made_room) => made_room?,
    }
    let room = content.capacity().min(octets.len());
    let octets = Bytes::copy_from_slice(&octets[..room]);
    content.send_data(octets, false).map_err(broken)?;
    Ok(room)
}

async fn answer(
    response: ResponseFuture,
    answered: Option<Answered>,
    request: Option<SendStream<Bytes>>,
    log: Log,
    patience: Duration,
) -> Outcome<Result<Http2Response, h2::Error>> {
    let answered = match answered {
        Some(answered) => answered,
        None => within(patience, "the head of a response", response).await?,
    };
    Ok(answered.map(|response| {
        let (parts, content) = response.into_parts();
        let (status, fields) = (parts.status, parts.headers);
        log.note(format!("the server answers {status} {fields:?}"));
        Http2Response {
            head: Response {
                status: status.as_u16(),
                fields,
                ..Response::default()
            },
            content,
            request,
            log,
            patience,
        }
    }))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: h2::Error) -> Verdict {
    Verdict::failed(format!("the stream or the connection was reset: {error}"))
}

/// The head as HTTP/2 has it: what `host` says is the authority.
fn head(request: &Request) -> Outcome<http::Request<()>> {
    let (hosts, others): (Vec<_>, Vec<_>) = request
        .fields
        .iter()
        .cloned()
        .chain(request.probe_field())
        .partition(|(name, _)| name == "host");
    let authority = hosts.first().map_or("", |(_, host)| host);
    let wrong = |error: String| Verdict::failed(format!("the case cannot send this: {error}"));
    let uri = match request.target.starts_with('/') || request.target == "*" {
        true => Uri::builder()
            .scheme("http")
            .authority(authority)
            .path_and_query(request.target.as_str())
            .build(),
        false => Uri::try_from(&request.target).map_err(Into::into),
    };
    let uri = uri.map_err(|error| wrong(error.to_string()))?;
    let method =
        Method::from_bytes(request.method.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let mut head = http::Request::builder()
        .method(method)
        .uri(uri)
        .version(http::Version::HTTP_2);
    for (name, value) in others {
        head = head.header(name, value);
    }
    head.body(()).map_err(|error| wrong(error.to_string()))
}
