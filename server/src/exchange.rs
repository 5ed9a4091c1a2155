//! One HTTP exchange over either version: the application is polled in place, by the connection that
//! waits for it.
//!
//! In the common case [`Exchange::poll`] is called once: the application runs to its end, and its
//! response is complete. A call moves to a task of its own only if it goes on: it streams, works
//! after its last event, or has lost its client.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{HttpResponseStart, HttpScope};
use callgate_drive::http::{self as drive, Content, ErrorStatus};
use callgate_drive::{RequestLine, ResponseBody, replacement};
use http::HeaderValue;

use crate::context::ServerContext;
use crate::report::AccessLog;

/// What an exchange responds with.
#[derive(Debug)]
pub(crate) enum Response {
    /// Early hints, with these values of `link`. The response follows.
    EarlyHints(Vec<HeaderValue>),
    /// The response: its head and its content.
    Final(HttpResponseStart, ResponseBody),
    /// No response, because the client is gone.
    ClientGone,
}

/// An exchange without a response.
#[derive(Debug)]
pub(crate) struct Exchange<C: Content> {
    inner: drive::Exchange<C>,
    access_log: Option<Box<AccessLog>>,
}

impl<C: Content> Exchange<C> {
    /// Calls the application with the content of its request. `status_for` decides the status of
    /// the response when the content cannot be read.
    pub(crate) fn new(
        scope: Box<HttpScope>,
        content: C,
        status_for: ErrorStatus<C::Error>,
        server: &ServerContext,
    ) -> Self {
        let access_log = server
            .config
            .access_log
            .then(|| Box::new(AccessLog::new(RequestLine::of_http(&scope), scope.client)));
        let shutdown = &server.stages.shutdown;
        Self {
            inner: drive::Exchange::new(&server.app, scope, content, status_for, shutdown),
            access_log,
        }
    }

    /// Polls the application, and returns its response. The exchange must not be polled again after
    /// that, except after early hints.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &Arc<ServerContext>,
    ) -> Poll<Response> {
        let (head, body) = match ready!(self.inner.poll(cx)) {
            drive::Response::Started(head, body) => (head, body),
            drive::Response::Replacement(status) => replacement(status),
            drive::Response::EarlyHints(links) => {
                return Poll::Ready(Response::EarlyHints(links));
            }
            drive::Response::Disconnected => {
                self.detach(server);
                return Poll::Ready(Response::ClientGone);
            }
        };
        self.detach(server);
        if let Some(log) = self.access_log.take() {
            log.write(head.status);
        }
        Poll::Ready(Response::Final(head, body))
    }

    /// Moves a call that has not ended to a task of its own. Without a response, the application
    /// receives a disconnect.
    pub(crate) fn detach(&mut self, server: &Arc<ServerContext>) {
        if let Some((call, end)) = self.inner.detach() {
            server.detach(call, end);
        }
    }
}
