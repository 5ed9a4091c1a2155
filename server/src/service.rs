//! The service that hyper calls for each request of a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use hyper::body::Incoming;
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};

use crate::exchange::{Exchange, Guard, PendingExchange};
use crate::link::Link;
use crate::rejection::Rejection;
use crate::report;
use crate::request::{self, ParsedRequest};
use crate::request_body::RequestContent;
use crate::response_body::Guarded;
use crate::websocket::Handshake;
use callgate_drive::Incomplete;

/// The service of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionService {
    link: Arc<Link>,
}

impl ConnectionService {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<Guarded>;
    /// The client is gone: hyper closes the connection, or resets the HTTP/2 stream.
    type Error = Incomplete;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        self.link.exchange_begins();
        let (mut parts, body) = request.into_parts();
        let version = parts.version;
        self.link
            .set_close_delimited(version == http::Version::HTTP_10);
        let on_upgrade = parts.extensions.remove::<OnUpgrade>();
        match request::read(parts, &self.link) {
            Ok(ParsedRequest::Http(scope)) => {
                let content = RequestContent::new(body, version, &self.link);
                self.begin(Exchange::new(scope, content, &self.link.server), version)
            }
            Ok(ParsedRequest::WebSocket(scope)) => {
                Answer::WebSocket(Handshake::new(scope, on_upgrade, &self.link))
            }
            Err(rejection) => self.reject(rejection, version),
        }
    }
}

impl ConnectionService {
    /// Polls the application for the first time.
    ///
    /// Over HTTP/1, hyper looks for more input between this call and its first poll of the
    /// response. An application that completes on its first poll has dropped its request by then,
    /// so hyper's read buffer is reused. hyper polls the application again otherwise, so the first
    /// poll needs no waker.
    fn begin(&self, mut exchange: Exchange, version: http::Version) -> Answer {
        if version != http::Version::HTTP_2 {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(mut answer) = exchange.poll(&mut cx, &self.link.server) {
                match &mut answer {
                    // No guard is needed: the exchange ends when the socket is given the response.
                    Ok(response) if response.body().is_in_memory() => self.link.set_answered(),
                    Ok(response) => response.body_mut().set_guard(Guard::new(&self.link)),
                    Err(Incomplete) => self.link.exchange_ends(),
                }
                return Answer::Made(Some(answer));
            }
        }
        Answer::Http(exchange.pending(Guard::new(&self.link)))
    }

    #[cold]
    fn reject(&self, rejection: Rejection, version: http::Version) -> Answer {
        report::rejected(self.link.client, &rejection);
        let mut response = rejection.into_response(version).map(Guarded::new);
        self.link.server.add_default_headers(response.headers_mut());
        response.body_mut().set_guard(Guard::new(&self.link));
        Answer::Made(Some(Ok(response)))
    }
}

/// The future of the response to one request.
#[derive(Debug)]
pub(crate) enum Answer {
    Http(PendingExchange),
    WebSocket(Box<Handshake>),
    /// `None` once the response has been returned.
    Made(Option<Result<Response<Guarded>, Incomplete>>),
}

impl Future for Answer {
    type Output = Result<Response<Guarded>, Incomplete>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Http(exchange) => match ready!(exchange.poll(cx)) {
                Ok(response) if response.body().waits() => {
                    *self = Self::Made(Some(Ok(response)));
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                answer => Poll::Ready(answer),
            },
            Self::WebSocket(handshake) => handshake.poll(cx).map(Ok),
            Self::Made(answer) => {
                Poll::Ready(answer.take().expect("not polled after it was ready"))
            }
        }
    }
}
