//! The service that hyper calls for each request of a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use callgate_drive::Incomplete;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};

use super::content::status_for;
use super::load::{Guard, Load};
use super::pending::PendingExchange;
use super::response_body::{GuardedBody, respond};
use super::websocket::PendingHandshake;
use crate::exchange::Exchange;
use crate::rejection::Rejection;
use crate::report;
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
    type Response = Response<GuardedBody>;
    /// The client is gone: hyper resets the stream.
    type Error = Incomplete;
    type Future = PendingResponse;

    fn call(&self, request: Request<Incoming>) -> PendingResponse {
        let guard = self.load.begin();
        let (mut parts, content) = request.into_parts();
        let on_upgrade = parts.extensions.remove::<OnUpgrade>();
        let info = &self.load.info;
        match request::read(parts, info) {
            Ok(ParsedRequest::Http(scope)) => {
                let exchange = Exchange::new(scope, content, status_for, &info.server);
                PendingResponse::Exchange(PendingExchange::new(exchange, guard))
            }
            Ok(ParsedRequest::WebSocket(scope)) => {
                let handshake = PendingHandshake::new(scope, on_upgrade, guard);
                PendingResponse::Handshake(Box::new(handshake))
            }
            Err(rejection) => PendingResponse::Rejected(Some(self.reject(rejection, guard))),
        }
    }
}

impl ConnectionService {
    #[cold]
    fn reject(&self, rejection: Rejection, guard: Guard) -> Response<GuardedBody> {
        report::rejected(self.load.info.client, &rejection);
        let (mut head, body) = rejection.into_response();
        self.load.info.server.add_default_headers(&mut head.headers);
        respond(head, GuardedBody::new(body, Some(guard)))
    }
}

/// The future of the response to one request.
#[derive(Debug)]
pub(super) enum PendingResponse {
    Exchange(PendingExchange),
    Handshake(Box<PendingHandshake>),
    /// `None` once the response has been returned.
    Rejected(Option<Response<GuardedBody>>),
}

impl Future for PendingResponse {
    type Output = Result<Response<GuardedBody>, Incomplete>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Exchange(exchange) => exchange.poll(cx),
            Self::Handshake(handshake) => handshake.poll(cx).map(Ok),
            Self::Rejected(response) => {
                Poll::Ready(Ok(response.take().expect("not polled after it was ready")))
            }
        }
    }
}
