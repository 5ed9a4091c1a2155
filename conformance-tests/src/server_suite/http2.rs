//! A client of HTTP/2: by prior knowledge over cleartext, and by ALPN over TLS.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, PingPong, RecvStream, SendStream};
use http::uri::Scheme;
use http::{Method, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::case_log::CaseLog;
use super::client_stream::ClientStream;
use super::request::{Request, Response};
use super::result::{CaseResult, within};
use crate::Verdict;

/// An HTTP/2 connection of a client.
pub(super) struct Http2 {
    requests: SendRequest<Bytes>,
    pings: Option<PingPong>,
    /// Drives the connection until it ends, and then has its error.
    driver: JoinHandle<Result<(), h2::Error>>,
    /// The client's own address.
    pub(super) address: SocketAddr,
    /// The scheme of requests in origin form.
    scheme: Scheme,
    log: CaseLog,
    timeout: Duration,
}

/// A stream whose response has not begun.
pub(super) struct Http2Stream {
    response: ResponseFuture,
    /// The head that [`Http2Stream::has_answer`] has seen.
    answered: Option<Answered>,
    /// For the request's content.
    pub(super) content: SendStream<Bytes>,
    log: CaseLog,
    timeout: Duration,
}

type Answered = Result<http::Response<RecvStream>, h2::Error>;

/// A response whose content is still to be read.
pub(super) struct Http2Response {
    /// Status and fields.
    pub(super) head: Response,
    content: RecvStream,
    /// The sending side, for a reset.
    request: Option<SendStream<Bytes>>,
    log: CaseLog,
    timeout: Duration,
}

/// The next part of the content of a response.
#[derive(Debug)]
pub(super) enum StreamPart {
    Data(Bytes),
    /// The end, orderly.
    End,
    /// The end, as the stream or the connection was reset: why.
    Reset(h2::Error),
}

/// The beginning of a connection: the preface and an empty SETTINGS frame.
const CLIENT_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The length of a frame's head, and the place of the type in it.
const FRAME_HEAD: usize = 9;
const FRAME_TYPE: usize = 3;
/// The type of a SETTINGS frame.
const SETTINGS: u8 = 4;

/// Returns whether a server answers the preface with SETTINGS, as HTTP/2 demands.
pub(crate) async fn is_spoken(mut stream: ClientStream, timeout: Duration) -> bool {
    let answer = async {
        stream.write_all(CLIENT_PREFACE).await?;
        stream.flush().await?;
        let mut head = [0; FRAME_HEAD];
        stream.read_exact(&mut head).await?;
        std::io::Result::Ok(head[FRAME_TYPE] == SETTINGS)
    };
    let answer = tokio::time::timeout(timeout, answer).await;
    answer.is_ok_and(|answer| answer.unwrap_or(false))
}

impl Http2 {
    /// Begins a connection.
    pub(super) async fn new(
        stream: ClientStream,
        log: CaseLog,
        timeout: Duration,
    ) -> CaseResult<Self> {
        let address = stream
            .local_addr()
            .map_err(|error| Verdict::failed(format!("the connection is gone: {error}")))?;
        let scheme = stream.scheme();
        let handshake = within(
            timeout,
            "an HTTP/2 connection",
            h2::client::handshake(stream),
        );
        let (requests, mut connection) = handshake
            .await?
            .map_err(|error| Verdict::failed(format!("it does not speak HTTP/2: {error}")))?;
        Ok(Self {
            requests,
            pings: connection.ping_pong(),
            driver: tokio::spawn(connection),
            address,
            scheme,
            log,
            timeout,
        })
    }

    /// Sends the head of a request, and its content if there is any. With `more`, further content
    /// follows through [`Http2Stream::content`].
    pub(super) async fn begin(&mut self, request: &Request, more: bool) -> CaseResult<Http2Stream> {
        let head = head(request, &self.scheme)?;
        self.begin_with(head, &request.body, more).await
    }

    /// Sends the head of an extended CONNECT (RFC 8441) for this protocol, whose octets
    /// follow through [`Http2Stream::content`].
    pub(super) async fn begin_extended_connect(
        &mut self,
        request: &Request,
        protocol: &'static str,
    ) -> CaseResult<Http2Stream> {
        let mut head = head(request, &self.scheme)?;
        head.extensions_mut()
            .insert(Protocol::from_static(protocol));
        self.begin_with(head, &[], true).await
    }

    async fn begin_with(
        &mut self,
        head: http::Request<()>,
        body: &[u8],
        more: bool,
    ) -> CaseResult<Http2Stream> {
        self.log.note(format!("the client sends {head:?}"));
        let ready = within(
            self.timeout,
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
        Ok(Http2Stream {
            response,
            answered: None,
            content,
            log: self.log.clone(),
            timeout: self.timeout,
        })
    }

    /// Sends a request and reads the whole response to it.
    pub(super) async fn exchange(&mut self, request: &Request) -> CaseResult<Response> {
        self.begin(request, false)
            .await?
            .head()
            .await?
            .read_all()
            .await
    }

    /// Waits until the server's settings have come: its answer to a ping comes after them.
    pub(super) async fn wait_for_settings(&mut self) -> CaseResult {
        if let Some(pings) = &mut self.pings {
            let answer = pings.ping(Ping::opaque());
            let answer = within(self.timeout, "the settings of HTTP/2", answer);
            answer.await?.map_err(broken)?;
        }
        Ok(())
    }

    /// Returns whether the server's settings offer extended CONNECT (RFC 8441), once they have come.
    pub(super) fn supports_extended_connect(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    /// Waits until the server has ended the connection. Returns the error of a further request: that is
    /// GOAWAY if the server has sent one.
    pub(super) async fn wait_for_close(self) -> CaseResult<h2::Error> {
        let ended = within(self.timeout, "the end of the connection", self.driver);
        // The further request has the error.
        let _ = ended.await?;
        let ready = within(self.timeout, "the fate of a request", self.requests.ready());
        match ready.await? {
            Err(error) => Ok(error),
            Ok(_) => Err(Verdict::failed(
                "the connection takes a request after its end",
            )),
        }
    }
}

impl Http2Stream {
    /// Reads the head of the response.
    pub(super) async fn head(self) -> CaseResult<Http2Response> {
        self.answer().await?.map_err(broken)
    }

    /// Reads the head of the response, and leaves the request's content open.
    pub(super) async fn head_and_content(self) -> CaseResult<(Http2Response, SendStream<Bytes>)> {
        let Self {
            response,
            answered,
            content,
            log,
            timeout,
        } = self;
        let head = answer(response, answered, None, log, timeout).await?;
        Ok((head.map_err(broken)?, content))
    }

    /// Reads the head of the response, or the error of a stream that ended without one.
    pub(super) async fn answer(self) -> CaseResult<Result<Http2Response, h2::Error>> {
        answer(
            self.response,
            self.answered,
            Some(self.content),
            self.log,
            self.timeout,
        )
        .await
    }

    /// Returns whether the head of the response or the end of the stream has come, without waiting.
    pub(super) fn has_answer(&mut self) -> bool {
        if self.answered.is_none() {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(answered) = Pin::new(&mut self.response).poll(&mut cx) {
                self.answered = Some(answered);
            }
        }
        self.answered.is_some()
    }

    /// Resets the stream with CANCEL.
    pub(super) fn reset(mut self) {
        self.log.note("the client resets the stream");
        self.content.send_reset(h2::Reason::CANCEL);
    }
}

impl Http2Response {
    /// Reads the next part of the content, and gives its flow-control window back.
    pub(super) async fn part(&mut self) -> CaseResult<StreamPart> {
        let data = within(
            self.timeout,
            "the content of a response",
            self.content.data(),
        );
        Ok(match data.await? {
            None => StreamPart::End,
            Some(Ok(data)) => {
                self.log
                    .note(format!("the server sends `{}`", data.escape_ascii()));
                // An error means that the stream has ended.
                let _ = self.content.flow_control().release_capacity(data.len());
                StreamPart::Data(data)
            }
            Some(Err(error)) => {
                self.log.note(format!("the stream is reset: {error}"));
                StreamPart::Reset(error)
            }
        })
    }

    /// Checks that the content goes on with `content`, in any number of parts.
    pub(super) async fn expect_content(&mut self, content: &[u8]) -> CaseResult {
        let mut read = Vec::new();
        while read.len() < content.len() {
            match self.part().await? {
                StreamPart::Data(data) => read.extend_from_slice(&data),
                StreamPart::End => break,
                StreamPart::Reset(error) => return Err(broken(error)),
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

    /// Resets the stream with CANCEL.
    pub(super) fn reset(mut self) {
        self.log.note("the client resets the stream");
        if let Some(request) = &mut self.request {
            request.send_reset(h2::Reason::CANCEL);
        }
    }

    /// Reads the whole content, which must end in an orderly way, and the trailer fields.
    pub(super) async fn read_all(mut self) -> CaseResult<Response> {
        loop {
            match self.part().await? {
                StreamPart::Data(data) => self.head.body.extend_from_slice(&data),
                StreamPart::End => break,
                StreamPart::Reset(error) => return Err(broken(error)),
            }
        }
        let trailers = within(self.timeout, "trailer fields", self.content.trailers());
        if let Some(trailers) = trailers.await?.map_err(broken)? {
            self.log.note(format!("the server sends {trailers:?}"));
            self.head.trailers = trailers;
        }
        Ok(self.head)
    }
}

/// Sends as much of `octets` as flow control allows within this time. Returns how much that is.
pub(super) async fn send_within(
    time: Duration,
    content: &mut SendStream<Bytes>,
    octets: &[u8],
) -> CaseResult<usize> {
    content.reserve_capacity(octets.len());
    let window = async {
        while content.capacity() == 0 {
            match poll_fn(|cx| content.poll_capacity(cx)).await {
                Some(room) => room.map_err(broken)?,
                None => return Err(Verdict::failed("the server has ended the stream")),
            };
        }
        Ok(())
    };
    match tokio::time::timeout(time, window).await {
        Err(_) => return Ok(0),
        Ok(window) => window?,
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
    log: CaseLog,
    timeout: Duration,
) -> CaseResult<Result<Http2Response, h2::Error>> {
    let answered = match answered {
        Some(answered) => answered,
        None => within(timeout, "the head of a response", response).await?,
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
            timeout,
        }
    }))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: h2::Error) -> Verdict {
    Verdict::failed(format!("the stream or the connection was reset: {error}"))
}

/// Returns the head as HTTP/2 has it: the `host` field is the authority.
fn head(request: &Request, scheme: &Scheme) -> CaseResult<http::Request<()>> {
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
            .scheme(scheme.clone())
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
