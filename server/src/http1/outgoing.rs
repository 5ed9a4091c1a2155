//! The responses of a connection: what is in flight, and how it is encoded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use callgate::HttpResponseStart;
use callgate_drive::{Incomplete, ResponseBody};
use callgate_http1::{
    AfterHead, ContentEncoder, ContentLength, EncodeError, Persistence, ResponseEncoder,
};
use http::header::{HeaderMap, HeaderValue, LINK};
use http_body::Body as _;

use super::content::RequestContent;
use super::output::Output;
use crate::context::ServerContext;
use crate::exchange::{self, Exchange, RunningCall};
use crate::websocket::Handshake;

/// Content is taken until there is as much output, in octets.
const CONTENT_OUTPUT: u64 = 64 * 1024;

/// The response that a connection is about to send or is sending.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// No request is being answered.
    None,
    /// The application has not responded.
    Exchange(Box<PendingExchange>),
    /// The application has neither accepted nor refused a WebSocket.
    Handshake(Box<PendingHandshake>),
    /// The content of a response is being sent.
    Content(Box<StreamedResponse>),
}

/// An exchange without a response.
#[derive(Debug)]
pub(super) struct PendingExchange {
    exchange: Exchange<RequestContent>,
    pub(super) encoder: ResponseEncoder,
    server: Arc<ServerContext>,
}

impl PendingExchange {
    pub(super) fn new(
        exchange: Exchange<RequestContent>,
        encoder: ResponseEncoder,
        server: &Arc<ServerContext>,
    ) -> Self {
        Self {
            exchange,
            encoder,
            server: server.clone(),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<exchange::Response> {
        self.exchange.poll(cx, &self.server)
    }

    /// Takes the call, if it goes on after its response has started.
    pub(super) fn take_call(&mut self) -> Option<RunningCall> {
        self.exchange.take_call(&self.server)
    }
}

impl Drop for PendingExchange {
    /// Without a response, the client is gone.
    fn drop(&mut self) {
        self.exchange.detach(&self.server);
    }
}

/// A handshake without a response.
#[derive(Debug)]
pub(super) struct PendingHandshake {
    pub(super) handshake: Box<Handshake>,
    pub(super) encoder: ResponseEncoder,
}

/// A response whose head has been encoded.
#[derive(Debug)]
pub(super) struct StreamedResponse {
    body: ResponseBody,
    /// `None` at the end of the response.
    encoder: Option<ContentEncoder>,
    /// The call of the application, if it goes on.
    call: Option<RunningCall>,
    /// The octets of content that have been encoded.
    sent: u64,
}

/// How a response has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseEnd {
    /// The response is complete.
    Complete(Persistence),
    /// The response will never be complete.
    Cut,
}

/// Encodes the head of a response whose content is `body`, made at the time `now`.
#[inline]
pub(super) fn encode_head(
    head: &HttpResponseStart,
    body: &ResponseBody,
    encoder: ResponseEncoder,
    server: &ServerContext,
    now: SystemTime,
    output: &mut Output,
) -> Result<AfterHead, EncodeError> {
    let length = body.size_hint().exact();
    let length = length.map_or(ContentLength::Unknown, ContentLength::Known);
    let (status, headers) = (head.status, &head.headers);
    server.with_default_fields(now, |defaults| {
        output.encode(|octets| encoder.encode(status, headers, length, defaults, octets))
    })
}

/// Encodes the head that opens a WebSocket, made at the time `now`.
pub(super) fn encode_upgrade(
    head: &HttpResponseStart,
    encoder: ResponseEncoder,
    server: &ServerContext,
    now: SystemTime,
    output: &mut Output,
) -> Result<(), EncodeError> {
    server.with_default_fields(now, |defaults| {
        output.encode(|octets| encoder.encode_upgrade(&head.headers, defaults, octets))
    })
}

/// Encodes a `103 Early Hints`.
pub(super) fn encode_early_hints(
    links: Vec<HeaderValue>,
    encoder: &ResponseEncoder,
    output: &mut Output,
) {
    let headers: HeaderMap = links.into_iter().map(|link| (LINK, link)).collect();
    // A client of HTTP/1.0 is not offered early hints.
    output.encode(|octets| encoder.encode_early_hints(&headers, octets));
}

impl StreamedResponse {
    pub(super) fn new(
        body: ResponseBody,
        encoder: ContentEncoder,
        call: Option<RunningCall>,
    ) -> Self {
        Self {
            body,
            encoder: Some(encoder),
            call,
            sent: 0,
        }
    }

    /// Returns how many octets of content have been encoded.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Polls the application and encodes its content, until there is enough output or the application
    /// sends nothing more. Returns the end of the response. Must not be polled again after that.
    pub(super) fn poll(&mut self, output: &mut Output, cx: &mut Context<'_>) -> Poll<ResponseEnd> {
        if let Poll::Ready(end) = self.poll_content(output, cx) {
            return Poll::Ready(end);
        }
        let mut length = output.len();
        while let Some(call) = &mut self.call {
            call.poll(cx);
            if let Poll::Ready(end) = self.poll_content(output, cx) {
                return Poll::Ready(end);
            }
            // The application may send more now that its content has been taken.
            if output.len() == length || output.len() >= CONTENT_OUTPUT {
                return Poll::Pending;
            }
            length = output.len();
        }
        Poll::Pending
    }

    fn poll_content(&mut self, output: &mut Output, cx: &mut Context<'_>) -> Poll<ResponseEnd> {
        while let Some(encoder) = &mut self.encoder {
            if encoder.remaining() == Some(0) {
                self.take_end(cx);
                return Poll::Ready(self.end(None, output));
            }
            if output.len() >= CONTENT_OUTPUT {
                return Poll::Pending;
            }
            if let Some(file) = self.body.take_file() {
                // The content has a length, so it has no frame.
                if encoder.frame(file.remaining()).is_err() {
                    return Poll::Ready(self.cut());
                }
                self.sent += file.remaining();
                output.push_file(file, cx);
                continue;
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(self.end(None, output)),
                Some(Err(Incomplete)) => return Poll::Ready(self.cut()),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) => {
                    let Ok(frame) = encoder.frame(data.len() as u64) else {
                        return Poll::Ready(self.cut());
                    };
                    self.sent += data.len() as u64;
                    output.push_framed(frame, data);
                }
                Err(frame) => return Poll::Ready(self.end(frame.into_trailers().ok(), output)),
            }
        }
        Poll::Ready(ResponseEnd::Cut)
    }

    /// Lets the application send the end of content that has reached its length, so that its call can
    /// end in place.
    fn take_end(&mut self, cx: &mut Context<'_>) {
        self.body = ResponseBody::empty();
        if let Some(call) = &mut self.call {
            call.poll(cx);
        }
    }

    fn end(&mut self, trailers: Option<HeaderMap>, output: &mut Output) -> ResponseEnd {
        let Some(encoder) = self.encoder.take() else {
            return ResponseEnd::Cut;
        };
        let end = output.encode(|octets| match trailers {
            Some(trailers) => encoder.end_with_trailers(&trailers, octets),
            None => encoder.end(octets),
        });
        // Content that is shorter than announced shows the client that it is incomplete.
        end.map_or(ResponseEnd::Cut, ResponseEnd::Complete)
    }

    fn cut(&mut self) -> ResponseEnd {
        self.encoder = None;
        ResponseEnd::Cut
    }
}
