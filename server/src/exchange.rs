//! One HTTP exchange: the application is polled in place, by the connection that waits for it.
//!
//! The common case is one call of [`Exchange::poll`]: the application runs to its end, its response
//! is whole, and it is handed to hyper. Only what outlives that moves to a task of its own: an
//! application that streams, that works on after its last event, or whose client is gone.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::HttpScope;
use callgate_drive::http as drive;
use callgate_drive::{Incomplete, RequestLine};
use http::{Response, Version};

use crate::context::ServerContext;
use crate::link::Link;
use crate::rejection;
use crate::report::AccessLog;
use crate::request_body::{self, RequestContent};
use crate::response_body::{Guarded, respond};

/// How much content is given to hyper at a time over HTTP/2, in bytes.
const HTTP2_PIECE: usize = 64 * 1024;

/// A response in the making.
#[derive(Debug)]
pub(crate) struct Exchange {
    inner: drive::Exchange<RequestContent>,
    version: Version,
    access_log: Option<Box<AccessLog>>,
}

/// An exchange whose application has not responded at once: the future that hyper polls.
#[derive(Debug)]
pub(crate) struct PendingExchange {
    exchange: Exchange,
    /// None once the response has been given.
    guard: Option<Guard>,
}

/// Counts the exchange as running until its response has been taken by the transport.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Link>);

impl Guard {
    /// For an exchange that has begun on this connection.
    pub(crate) fn new(link: &Arc<Link>) -> Self {
        Self(link.clone())
    }

    /// The connection of the exchange.
    pub(crate) fn link(&self) -> &Link {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.exchange_ends();
    }
}

impl Exchange {
    pub(crate) fn new(
        scope: Box<HttpScope>,
        content: RequestContent,
        server: &ServerContext,
    ) -> Self {
        let version = scope.version;
        let access_log = server
            .config
            .access_log
            .then(|| Box::new(AccessLog::new(RequestLine::of_http(&scope), scope.client)));
        let inner = drive::Exchange::new(
            &server.app,
            scope,
            content,
            request_body::status_for,
            &server.stages.shutdown,
        );
        Self {
            inner,
            version,
            access_log,
        }
    }

    /// The response, still without a guard. An error means that nobody is left to respond to.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &Arc<ServerContext>,
    ) -> Poll<Result<Response<Guarded>, Incomplete>> {
        let response = ready!(self.inner.poll(cx));
        self.detach(server);
        let (mut head, mut body) = match response {
            drive::Response::Started(head, body) => (head, body),
            drive::Response::Replacement(status) => rejection::replacement(status, self.version),
            drive::Response::Disconnected => return Poll::Ready(Err(Incomplete)),
        };
        if self.version == Version::HTTP_2 {
            // hyper lets go of the body with its last piece, which keeps the exchange running.
            body.set_piece(HTTP2_PIECE);
        }
        server.add_default_headers(&mut head.headers);
        if let Some(log) = self.access_log.take() {
            log.write(head.status);
        }
        Poll::Ready(Ok(respond(head, Guarded::new(body))))
    }

    /// For hyper to poll until there is a response.
    pub(crate) fn pending(self, guard: Guard) -> PendingExchange {
        PendingExchange {
            exchange: self,
            guard: Some(guard),
        }
    }

    /// Lets what is left of the call go on by itself.
    fn detach(&mut self, server: &Arc<ServerContext>) {
        if let Some((call, end)) = self.inner.detach() {
            server.detach(call, end);
        }
    }
}

impl PendingExchange {
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Guarded>, Incomplete>> {
        let Guard(link) = self.guard.as_ref().expect("not polled after it was ready");
        let mut answer = ready!(self.exchange.poll(cx, &link.server));
        if let (Ok(response), Some(guard)) = (&mut answer, self.guard.take()) {
            response.body_mut().set_guard(guard);
        }
        Poll::Ready(answer)
    }
}

impl Drop for PendingExchange {
    /// hyper drops this future before it is ready when the client is gone.
    fn drop(&mut self) {
        if let Some(Guard(link)) = &self.guard {
            self.exchange.detach(&link.server);
        }
    }
}
