//! One HTTP exchange: the application is polled in place, by the connection that waits for it.
//!
//! The common case is one call of [`Exchange::poll`]: the application runs to its end, its response
//! is whole, and it is handed to hyper. Only what outlives that moves to a task of its own: an
//! application that streams, that works on after its last event, or whose client is gone.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{HttpResponseStart, HttpScope};
use callgate_drive::http::{self as drive, Mailbox};
use callgate_drive::{Call, Incomplete, RequestLine, ResponseBody, ServerEnd as _};
use http::{Response, Version};
use hyper::body::Incoming;

use crate::link::Link;
use crate::rejection;
use crate::report::AccessLog;
use crate::request_body;
use crate::response_body::{Guarded, respond};
use crate::server::Server;

/// The future that hyper polls for the response.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// None once the application's call has ended or has moved to a task.
    call: Option<Call>,
    version: Version,
    mailbox: Arc<Mailbox<Incoming>>,
    /// None once the response has been given.
    guard: Option<Guard>,
    access_log: Option<Box<AccessLog>>,
}

/// Counts the exchange as running until its response has been taken by the transport.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Link>);

impl Guard {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        link.exchange_begins();
        Self(link)
    }

    fn server(&self) -> &Arc<Server> {
        &self.0.server
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.exchange_ends();
    }
}

impl Exchange {
    pub(crate) fn new(scope: Box<HttpScope>, body: Incoming, guard: Guard) -> Self {
        let server = guard.server();
        let request = RequestLine::of_http(&scope);
        let version = scope.version;
        let access_log = server
            .config
            .access_log
            .then(|| Box::new(AccessLog::new(&request, scope.client)));
        let mailbox = Arc::new(Mailbox::new(&scope, body, request_body::judge));
        let call = Call::new(&server.app, scope.into(), &mailbox, request);
        Self {
            call: Some(call),
            version,
            mailbox,
            guard: Some(guard),
            access_log,
        }
    }

    /// An error means that nobody is left to respond to.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Guarded>, Incomplete>> {
        if let Some(call) = &mut self.call
            && call.poll(cx, &mut self.mailbox).is_ready()
        {
            self.call = None;
        }
        let response = ready!(self.mailbox.poll_response(cx));
        let guard = self.guard.take().expect("not polled after it was ready");
        if let Some(call) = self.call.take() {
            guard.server().detach(call, self.mailbox.clone());
        }
        let (mut head, body) = match response {
            drive::Response::Whole(head, body) => (head, body),
            drive::Response::Streamed(head) => {
                let body = self.mailbox.streamed(&head);
                (head, body)
            }
            drive::Response::HeadOnly(head) => (head, ResponseBody::empty()),
            drive::Response::Replacement(status) => {
                let (parts, body) = rejection::replacement(status, self.version).into_parts();
                let mut head = HttpResponseStart::new(parts.status);
                head.headers = parts.headers;
                (head, body)
            }
            drive::Response::Gone => return Poll::Ready(Err(Incomplete)),
        };
        guard.server().add_default_headers(&mut head.headers);
        if let Some(log) = self.access_log.take() {
            log.write(head.status);
        }
        let body = Guarded::new(body, Some(guard));
        Poll::Ready(Ok(respond(head.status, head.headers, body)))
    }
}

impl Drop for Exchange {
    /// hyper drops this future before it is ready when the client is gone.
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take()
            && let Some(call) = self.call.take()
        {
            self.mailbox.disconnect();
            guard.server().detach(call, self.mailbox.clone());
        }
    }
}
