//! The futures that hyper polls for responses.

use std::task::{Context, Poll, ready};

use callgate_drive::Incomplete;
use http::Response;

use super::content::RequestContent;
use super::load::Guard;
use super::response_body::{GuardedBody, respond};
use crate::exchange::{self, Exchange};

/// The limit of one data frame for hyper, in octets.
const PIECE: usize = 64 * 1024;

/// An exchange whose application has not responded.
#[derive(Debug)]
pub(super) struct PendingExchange {
    exchange: Exchange<RequestContent>,
    /// `None` once the response has been returned.
    guard: Option<Guard>,
}

impl PendingExchange {
    pub(super) fn new(exchange: Exchange<RequestContent>, guard: Guard) -> Self {
        Self {
            exchange,
            guard: Some(guard),
        }
    }

    /// Returns the response. An error means that the client is gone.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<GuardedBody>, Incomplete>> {
        let guard = self.guard.as_ref().expect("not polled after it was ready");
        let server = &guard.load().info.server;
        let (mut head, mut body) = loop {
            match ready!(self.exchange.poll(cx, server)) {
                // hyper cannot send them, so they are not offered.
                exchange::Response::EarlyHints(_) => {}
                exchange::Response::Final(head, body) => break (head, body),
                exchange::Response::ClientGone => return Poll::Ready(Err(Incomplete)),
            }
        };
        // hyper drops the body with its last data frame. Until then the exchange counts as
        // running.
        body.set_piece(PIECE);
        server.add_default_headers(&mut head.headers);
        let guard = self.guard.take();
        Poll::Ready(Ok(respond(head, GuardedBody::new(body, guard))))
    }
}

impl Drop for PendingExchange {
    /// hyper drops this future before it is ready when the client is gone.
    fn drop(&mut self) {
        if let Some(guard) = &self.guard {
            self.exchange.detach(&guard.load().info.server);
        }
    }
}
