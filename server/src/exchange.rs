//! One HTTP exchange over either version: the application is polled in place, by the connection that
//! waits for it.
//!
//! In the common case [`Exchange::poll`] is called once: the application runs to its end, and its
//! response is complete. A call moves to a task of its own only if it works after its last event, has
//! lost its client, or streams over HTTP/2.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{HttpResponseStart, HttpScope};
use callgate_drive::http::{self as drive, Content, ErrorStatus};
use callgate_drive::{Call, ResponseBody, ServerEnd, replacement};
use http::HeaderValue;

use crate::connection::ConnectionInfo;
use crate::context::ServerContext;

/// The response of an exchange.
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
}

impl<C: Content> Exchange<C> {
    /// Calls the application with the content of its request. `status_for` decides the status of
    /// the response when the content cannot be read.
    pub(crate) fn new(
        scope: Box<HttpScope>,
        content: C,
        status_for: ErrorStatus<C::Error>,
        connection: &ConnectionInfo,
    ) -> Self {
        let server = &*connection.server;
        let shutdown = &server.stages.shutdown;
        Self {
            inner: drive::Exchange::new(&server.app, scope, content, status_for, shutdown),
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
        Poll::Ready(Response::Final(head, body))
    }

    /// Takes the call, if it goes on after its response has started.
    pub(crate) fn take_call(&mut self, server: &Arc<ServerContext>) -> Option<RunningCall> {
        let (call, end) = self.inner.detach()?;
        Some(RunningCall {
            call: Some((call, end)),
            server: server.clone(),
        })
    }

    /// Moves a call that has not ended to a task of its own. Without a response, the application
    /// receives a disconnect.
    pub(crate) fn detach(&mut self, server: &Arc<ServerContext>) {
        if let Some((call, end)) = self.inner.detach() {
            server.detach(call, end);
        }
    }
}

/// A call that goes on after its response has started. Its connection polls it in place while the
/// response is sent. When the value is dropped, the call moves to a task of its own.
pub(crate) struct RunningCall {
    /// `None` once the call has ended.
    call: Option<(Call, Arc<dyn ServerEnd>)>,
    server: Arc<ServerContext>,
}

impl RunningCall {
    /// Polls the application, unless its call has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some((call, end)) = &mut self.call
            && call.poll(cx, &**end).is_ready()
        {
            self.call = None;
        }
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if let Some((call, end)) = self.call.take() {
            self.server.detach(call, end);
        }
    }
}

impl fmt::Debug for RunningCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningCall")
            .field("has_ended", &self.call.is_none())
            .finish_non_exhaustive()
    }
}
