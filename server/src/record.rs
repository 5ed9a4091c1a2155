//! The record of an exchange: what the access log and the metrics tell about it.
//!
//! A record begins when the head of a request has been read, or when a request is rejected before that. It
//! ends with its exchange: when the response has been written to the socket, when the session of a
//! WebSocket is over, or when neither will happen. Each transport moves the record along with its exchange,
//! and a record that is dropped has ended.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use callgate::{HttpResponseStart, RequestScope};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use tracing::Span;

use crate::connection::ConnectionInfo;
use crate::context::ServerContext;
use crate::rejection::Rejection;
use crate::request_id::{self, X_REQUEST_ID};
use crate::trace;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The response has been written to the socket. Of a WebSocket: it was closed with a closing handshake.
    Complete,
    /// The client was gone before that.
    ClientGone,
    /// The application failed in the middle of its response.
    CutByApplication,
    /// The server ended the exchange: at its shutdown, or for input that breaks the protocol.
    CutByServer,
    /// A time-out ended the exchange: the client took too long, or the whole exchange did.
    TimedOut,
}

impl Outcome {
    /// All outcomes.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 5] = [
        Self::Complete,
        Self::ClientGone,
        Self::CutByApplication,
        Self::CutByServer,
        Self::TimedOut,
    ];

    /// Returns the name, as the log shows it and as the label of a metric.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client_gone",
            Self::CutByApplication => "cut_by_application",
            Self::CutByServer => "cut_by_server",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The head of a request, as far as it is recorded. The text is a copy, so that it does not keep the read
/// buffer in memory.
#[derive(Debug)]
pub(crate) struct RecordedRequest {
    pub(crate) method: Method,
    /// Path and query as the client sent them.
    pub(crate) target: Box<str>,
    pub(crate) version: Version,
    pub(crate) user_agent: Option<Box<str>>,
    pub(crate) referrer: Option<Box<str>>,
    /// Whether the request opens a WebSocket.
    pub(crate) is_websocket: bool,
}

impl RecordedRequest {
    fn new(parts: &Parts) -> Self {
        let uri = &parts.uri;
        let target = match (uri.path_and_query(), uri.authority()) {
            (Some(target), _) => target.as_str(),
            (None, authority) => authority.map_or("", |authority| authority.as_str()),
        };
        Self {
            method: parts.method.clone(),
            target: target.into(),
            version: parts.version,
            user_agent: text(&parts.headers, &header::USER_AGENT),
            referrer: text(&parts.headers, &header::REFERER),
            is_websocket: false,
        }
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<Box<str>> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into())
}

/// The record of one exchange, which is complete when it is dropped.
#[derive(Debug)]
pub(crate) struct ExchangeRecord {
    server: Arc<ServerContext>,
    /// When the head of the request had been read.
    pub(crate) time: SystemTime,
    start: Instant,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
    /// The version of TLS as the number on the wire; `None` without TLS.
    pub(crate) tls_version: Option<u16>,
    pub(crate) request_id: Option<HeaderValue>,
    /// The span of the exchange; a disabled one if no subscriber is interested.
    span: Span,
    /// `None` for a request that was rejected before its head was complete.
    pub(crate) request: Option<RecordedRequest>,
    /// The status of the response; `None` if there was no response.
    pub(crate) status: Option<StatusCode>,
    /// The octets of content that have been received, without those that were discarded after the
    /// response. Of a WebSocket: of messages.
    pub(crate) octets_in: u64,
    /// The octets of content that have been written. Of a WebSocket: of messages.
    pub(crate) octets_out: u64,
    /// The messages of a WebSocket.
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    /// The time before the response began.
    pub(crate) until_response: Option<Duration>,
    /// The time of the whole exchange. Zero until its end.
    pub(crate) duration: Duration,
    pub(crate) outcome: Outcome,
    /// Why the server has rejected the request.
    pub(crate) reason: Option<Cow<'static, str>>,
}

impl ExchangeRecord {
    /// Begins the record of a request; `None` if no part of the server takes records. `parts` is `None` for a
    /// request without a complete head.
    pub(crate) fn begin(
        parts: Option<&mut Parts>,
        connection: &ConnectionInfo,
    ) -> Option<Box<Self>> {
        let server = &connection.server;
        if !server.takes_records {
            return None;
        }
        let mut request_id = None;
        let mut span = Span::none();
        let request = parts.map(|parts| {
            if server.config.log.request_id {
                request_id = Some(request_id::assign(&mut parts.headers, connection));
            }
            span = trace::begin(parts, request_id.as_ref(), connection);
            RecordedRequest::new(parts)
        });
        server.exchange_begins();
        Some(Box::new(Self {
            server: server.clone(),
            time: SystemTime::now(),
            start: Instant::now(),
            client: connection.client,
            peer: connection.peer,
            tls_version: connection.tls.as_ref().and_then(|tls| tls.tls_version),
            request_id,
            span,
            request,
            status: None,
            octets_in: 0,
            octets_out: 0,
            messages_in: 0,
            messages_out: 0,
            until_response: None,
            duration: Duration::ZERO,
            outcome: Outcome::ClientGone,
            reason: None,
        }))
    }

    /// Records why the server rejects the request.
    pub(crate) fn rejected(&mut self, rejection: &Rejection) {
        self.reason = Some(rejection.reason().clone());
    }

    /// Records the scope for which the application is called, and returns the span of the exchange.
    pub(crate) fn called(&mut self, scope: &RequestScope, is_websocket: bool) -> Span {
        self.client = scope.client;
        trace::called(&self.span, scope);
        if let Some(request) = &mut self.request {
            request.is_websocket = is_websocket;
        }
        self.span.clone()
    }

    /// Records that the response begins, and adds the identifier of the request to a response without one.
    pub(crate) fn respond(&mut self, head: &mut HttpResponseStart) {
        if let Some(id) = &self.request_id
            && !head.headers.contains_key(&X_REQUEST_ID)
        {
            head.headers.insert(X_REQUEST_ID, id.clone());
        }
        self.status = Some(head.status);
        (self.span).record("http.response.status_code", head.status.as_u16());
        self.until_response = Some(self.start.elapsed());
        if self.is_open_websocket() {
            self.server.websocket_opens();
        }
    }

    /// Returns whether the response has opened a WebSocket (RFC 6455, RFC 8441).
    pub(crate) fn is_open_websocket(&self) -> bool {
        let is_websocket = self.request.as_ref().is_some_and(|it| it.is_websocket);
        let opens =
            |status: StatusCode| status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS;
        is_websocket && self.status.is_some_and(opens)
    }
}

impl Drop for ExchangeRecord {
    fn drop(&mut self) {
        self.duration = self.start.elapsed();
        // A response that takes too long is cut like one whose application has failed.
        let limit = self.server.config.timeouts.request;
        if self.outcome == Outcome::CutByApplication
            && limit.is_some_and(|limit| self.duration >= limit)
        {
            self.outcome = Outcome::TimedOut;
        }
        let is_failure = self.outcome == Outcome::CutByApplication;
        trace::end(&self.span, self.status, self.outcome.name(), is_failure);
        self.server.exchange_ended(self);
    }
}
