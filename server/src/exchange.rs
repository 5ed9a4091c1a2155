//! One HTTP exchange: the application is polled in place, by the connection that waits for it.
//!
//! In the common case [`Exchange::poll`] is called once: the application runs to its end, and its
//! response is complete. A call moves to a task of its own only if it goes on: it streams, works
//! after its last event, or has lost its client.

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

/// The limit of one data frame for hyper over HTTP/2, in bytes.
const HTTP2_PIECE: usize = 64 * 1024;

/// An exchange without a response.
#[derive(Debug)]
pub(crate) struct Exchange {
    inner: drive::Exchange<RequestContent>,
    version: Version,
    access_log: Option<Box<AccessLog>>,
}

/// An exchange whose application has not responded on the first poll: the future that hyper polls.
#[derive(Debug)]
pub(crate) struct PendingExchange {
    exchange: Exchange,
    /// `None` once the response has been returned.
    guard: Option<Guard>,
}

/// Counts the exchange as running until its response has been taken by the transport.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Link>);

impl Guard {
    /// Creates the guard of an exchange that has begun on this connection.
    pub(crate) fn new(link: &Arc<Link>) -> Self {
        Self(link.clone())
    }

    /// Returns the link of the exchange's connection.
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

    /// Returns the response, without a guard. An error means that the client is gone.
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
            // hyper drops the body with its last data frame. Until then the exchange counts as
            // running.
            body.set_piece(HTTP2_PIECE);
        }
        server.add_default_headers(&mut head.headers);
        if let Some(log) = self.access_log.take() {
            log.write(head.status);
        }
        Poll::Ready(Ok(respond(head, Guarded::new(body))))
    }

    /// Returns the future that hyper polls until there is a response.
    pub(crate) fn pending(self, guard: Guard) -> PendingExchange {
        PendingExchange {
            exchange: self,
            guard: Some(guard),
        }
    }

    /// Moves a call that has not ended to a task of its own.
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
