//! The service that hyper calls for each request of a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use callgate::RequestScope;
use h2::Reason;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use tracing::Span;

use super::content::{RequestContent, status_for};
use super::load::Load;
use super::malformed::check_head;
use super::pending::PendingExchange;
use super::response_content::ResponseContent;
use super::stream_state::StreamState;
use super::stream_task::set_stream;
use super::websocket::PendingHandshake;
use crate::exchange::Exchange;
use crate::record::{ExchangeRecord, Outcome};
use crate::rejection::Rejection;
use crate::request::{self, ParsedRequest};

/// The service of one connection.
#[derive(Debug)]
pub(super) struct ConnectionService {
    load: Arc<Load>,
}

impl ConnectionService {
    pub(super) fn new(load: Arc<Load>) -> Self {
        Self { load }
    }
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<ResponseContent>;
    /// hyper resets the stream with the reason of the error.
    type Error = h2::Error;
    type Future = PendingResponse;

    fn call(&self, request: Request<Incoming>) -> PendingResponse {
        let (mut parts, content) = request.into_parts();
        let info = &self.load.info;
        let stream = StreamState::begin(&self.load, ExchangeRecord::begin(Some(&mut parts), info));
        if self.load.is_refusing() {
            return PendingResponse::Reset(Reason::REFUSED_STREAM, stream);
        }
        if let Err(reason) = check_head(&parts) {
            let rejection = Rejection::bad_request(reason);
            stream.report_rejected(&rejection);
            return PendingResponse::Reset(Reason::PROTOCOL_ERROR, stream);
        }
        let on_upgrade = parts.extensions.remove::<OnUpgrade>();
        let protocol = parts.extensions.get::<Protocol>();
        let opens_websocket = protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
        // The length that `content-length` announces.
        let least = content.size_hint().lower();
        let content = RequestContent::new(content, &parts.headers, self.load.clone(), &stream);
        match request::read(parts, opens_websocket, info) {
            Ok(ParsedRequest::Http(_)) if info.server.config.limits.is_too_large(least) => {
                let rejection = Rejection::content_too_large();
                PendingResponse::Rejected(Some(self.reject(rejection, stream)))
            }
            Ok(ParsedRequest::Http(scope)) => {
                let span = called(&stream, &scope, false);
                let exchange = Exchange::new(scope, content, status_for, info, span);
                PendingResponse::Exchange(PendingExchange::new(exchange, stream))
            }
            Ok(ParsedRequest::WebSocket(scope)) => {
                let span = called(&stream, &scope, true);
                let handshake = PendingHandshake::new(scope, on_upgrade, stream, span);
                PendingResponse::Handshake(Box::new(handshake))
            }
            Err(rejection) => PendingResponse::Rejected(Some(self.reject(rejection, stream))),
        }
    }
}

/// Records the scope for which the application is called, and returns the span of the exchange.
fn called(stream: &StreamState, scope: &RequestScope, is_websocket: bool) -> Span {
    let mut span = Span::none();
    stream.record(|record| span = record.called(scope, is_websocket));
    span
}

impl ConnectionService {
    #[cold]
    fn reject(&self, rejection: Rejection, stream: Arc<StreamState>) -> Rejected {
        let info = &self.load.info;
        stream.report_rejected(&rejection);
        let (mut head, body) = rejection.into_response();
        info.server.add_default_headers(&mut head.headers);
        stream.record(|record| record.respond(&mut head));
        let content = ResponseContent::new(body, Some(stream.clone()));
        Rejected {
            response: head.into_response(content),
            stream,
        }
    }
}

/// The response to a request that is rejected.
#[derive(Debug)]
pub(super) struct Rejected {
    response: Response<ResponseContent>,
    stream: Arc<StreamState>,
}

/// The future of the response to one request.
#[derive(Debug)]
pub(super) enum PendingResponse {
    Exchange(PendingExchange),
    Handshake(Box<PendingHandshake>),
    /// `None` once the response has been returned.
    Rejected(Option<Rejected>),
    /// The stream is reset.
    Reset(Reason, Arc<StreamState>),
}

impl Future for PendingResponse {
    type Output = Result<Response<ResponseContent>, h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Exchange(exchange) => exchange.poll(cx).map_err(|_| Reason::CANCEL.into()),
            Self::Handshake(handshake) => handshake.poll(cx).map(Ok),
            Self::Rejected(rejected) => {
                let rejected = rejected.take().expect("not polled after it was ready");
                set_stream(&rejected.stream);
                Poll::Ready(Ok(rejected.response))
            }
            Self::Reset(reason, stream) => {
                set_stream(stream);
                stream.set_outcome(Outcome::CutByServer);
                Poll::Ready(Err((*reason).into()))
            }
        }
    }
}
