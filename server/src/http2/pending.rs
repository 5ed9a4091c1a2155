//! The futures that hyper polls for responses.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;

use super::content::RequestContent;
use super::response_content::ResponseContent;
use super::stream_state::StreamState;
use super::stream_task::set_stream;
use crate::exchange::{self, Exchange};

/// The client is gone.
#[derive(Debug)]
pub(super) struct ClientGone;

/// An exchange whose application has not responded.
#[derive(Debug)]
pub(super) struct PendingExchange {
    exchange: Exchange<RequestContent>,
    /// Whether the application has been polled.
    has_begun: bool,
    /// `None` once the response has been returned.
    stream: Option<Arc<StreamState>>,
}

impl PendingExchange {
    pub(super) fn new(exchange: Exchange<RequestContent>, stream: Arc<StreamState>) -> Self {
        Self {
            exchange,
            has_begun: false,
            stream: Some(stream),
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ResponseContent>, ClientGone>> {
        let stream = self.stream.as_ref().expect("not polled after it was ready");
        if !self.has_begun {
            ready!(stream.load().poll_backlog(cx));
            self.has_begun = true;
        }
        let server = &stream.load().info.server;
        let (mut head, body) = loop {
            match ready!(self.exchange.poll(cx, server)) {
                // hyper cannot send them, so they are not offered.
                exchange::Response::EarlyHints(_) => {}
                exchange::Response::Final(head, body) => {
                    self.exchange.detach(server);
                    break (head, body);
                }
                exchange::Response::ClientGone => return Poll::Ready(Err(ClientGone)),
            }
        };
        server.add_default_headers(&mut head.headers);
        stream.start();
        set_stream(stream);
        stream.record(|record| record.respond(&mut head));
        let content = ResponseContent::new(body, self.stream.take());
        Poll::Ready(Ok(head.into_response(content)))
    }
}

impl Drop for PendingExchange {
    /// hyper drops this future before it is ready when the client is gone.
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            self.exchange.detach(&stream.load().info.server);
        }
    }
}
