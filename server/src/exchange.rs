//! One HTTP exchange over either version: the application is polled in place, by the connection that
//! waits for it.
//!
//! In the common case [`Exchange::poll`] is called once: the application runs to its end, and its
//! response is complete. A call moves to a task of its own only if it works after its last event, has
//! lost its client, or streams over HTTP/2.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{HttpResponseStart, HttpScope};
use callgate_drive::http::{self as drive, Content, ErrorStatus};
use callgate_drive::timer::LONGEST;
use callgate_drive::{Call, CutSignal, ResponseBody, ServerEnd, replacement};
use http::{HeaderValue, StatusCode};
use tracing::Span;

use crate::concurrency::{Admission, Permit, Waiting};
use crate::connection::ConnectionInfo;
use crate::context::ServerContext;
use crate::limit::Limit;
use crate::rejection::Rejection;
use crate::report;

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
    progress: Progress<C>,
    /// Completes when the exchange has taken too long.
    time_out: Option<CutSignal>,
}

#[derive(Debug)]
enum Progress<C: Content> {
    /// The exchange waits until others have ended.
    Queued(Box<QueuedExchange<C>>),
    /// The application has been called.
    Called(drive::Exchange<C>),
    /// The application is not called. `None` once the response has been returned.
    Refused(Option<Box<Rejection>>),
}

/// An exchange that waits until others have ended.
struct QueuedExchange<C: Content> {
    waiting: Waiting,
    request: Option<(Box<HttpScope>, C)>,
    status_for: ErrorStatus<C::Error>,
    span: Span,
    client: Option<SocketAddr>,
}

impl<C: Content> fmt::Debug for QueuedExchange<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedExchange").finish_non_exhaustive()
    }
}

impl<C: Content> Exchange<C> {
    /// Calls the application with the content of its request in `span`, unless too many exchanges are in flight.
    /// `status_for` decides the status of the response when the content cannot be read.
    pub(crate) fn new(
        scope: Box<HttpScope>,
        content: C,
        status_for: ErrorStatus<C::Error>,
        connection: &ConnectionInfo,
        span: Span,
    ) -> Self {
        let server = &*connection.server;
        let progress = match server.concurrency.admit() {
            Admission::Admitted(permit) => {
                Progress::Called(call(server, scope, content, status_for, permit, &span))
            }
            Admission::Queued(waiting) => Progress::Queued(Box::new(QueuedExchange {
                waiting,
                request: Some((scope, content)),
                status_for,
                span,
                client: connection.client,
            })),
            Admission::Refused => {
                Progress::Refused(Some(Box::new(server.refuse(connection.client))))
            }
        };
        let limit = server.config.timeouts.request;
        Self {
            progress,
            time_out: limit.map(|limit| time_out(limit, connection)),
        }
    }

    /// Polls the application, and returns its response. The exchange must not be polled again after
    /// that, except after early hints.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &Arc<ServerContext>,
    ) -> Poll<Response> {
        let response = match self.progress.poll(cx, server) {
            Poll::Ready(response) => response,
            Poll::Pending => {
                ready!(self.poll_time_out(cx));
                self.detach(server);
                drive::Response::Replacement(StatusCode::GATEWAY_TIMEOUT)
            }
        };
        let (head, mut body) = match response {
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
        if let Some(time_out) = self.time_out.take() {
            body.cut_when(time_out);
        }
        Poll::Ready(Response::Final(head, body))
    }

    fn poll_time_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(time_out) = &mut self.time_out else {
            return Poll::Pending;
        };
        ready!(time_out.poll(cx));
        self.time_out = None;
        Poll::Ready(())
    }

    /// Takes the call, if it goes on after its response has started.
    pub(crate) fn take_call(&mut self, server: &Arc<ServerContext>) -> Option<RunningCall> {
        let Progress::Called(exchange) = &mut self.progress else {
            return None;
        };
        let (call, end) = exchange.detach()?;
        Some(RunningCall {
            call: Some((call, end)),
            server: server.clone(),
        })
    }

    /// Moves a call that has not ended to a task of its own. Without a response, the application
    /// receives a disconnect.
    pub(crate) fn detach(&mut self, server: &Arc<ServerContext>) {
        if let Progress::Called(exchange) = &mut self.progress
            && let Some((call, end)) = exchange.detach()
        {
            server.detach(call, end);
        }
    }
}

/// Completes when an exchange that begins now has taken too long.
fn time_out(limit: Duration, connection: &ConnectionInfo) -> CutSignal {
    let sleep = tokio::time::sleep(limit.min(LONGEST));
    let (server, client) = (connection.server.clone(), connection.client);
    CutSignal::new(async move {
        sleep.await;
        server.limits.reached(Limit::RequestTime);
        report::failed(client, &"an exchange is ended (--timeout-request)");
    })
}

/// Calls the application. The permit is kept until the call has ended.
fn call<C: Content>(
    server: &ServerContext,
    scope: Box<HttpScope>,
    content: C,
    status_for: ErrorStatus<C::Error>,
    permit: Option<Permit>,
    span: &Span,
) -> drive::Exchange<C> {
    let shutdown = &server.stages.shutdown;
    let mut exchange = drive::Exchange::new(&server.app, scope, content, status_for, shutdown);
    if !span.is_disabled() {
        exchange.instrument(span);
    }
    if let Some(permit) = permit {
        exchange.hold(permit);
    }
    exchange
}

impl<C: Content> Progress<C> {
    fn poll(&mut self, cx: &mut Context<'_>, server: &ServerContext) -> Poll<drive::Response> {
        loop {
            match self {
                Self::Called(exchange) => return exchange.poll(cx),
                Self::Queued(queued) => *self = ready!(queued.poll(cx, server)),
                Self::Refused(rejection) => {
                    let rejection = rejection.take().expect("not polled after its response");
                    let (head, body) = rejection.into_response();
                    return Poll::Ready(drive::Response::Started(head, body));
                }
            }
        }
    }
}

impl<C: Content> QueuedExchange<C> {
    fn poll(&mut self, cx: &mut Context<'_>, server: &ServerContext) -> Poll<Progress<C>> {
        let permit = ready!(self.waiting.poll(cx));
        let (scope, content) = self.request.take().expect("not polled after it was ready");
        Poll::Ready(match permit {
            None => Progress::Refused(Some(Box::new(server.refuse(self.client)))),
            permit => {
                let status_for = self.status_for;
                Progress::Called(call(server, scope, content, status_for, permit, &self.span))
            }
        })
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
