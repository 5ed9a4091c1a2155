//! The handshake: an HTTP request that the application turns into a WebSocket, or refuses.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{BoxApp, HttpResponseStart, WebSocketAccept, WebSocketDisconnect, WebSocketScope};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{StatusCode, Version};
use tracing::Span;

use super::Mailbox;
use crate::ResponseBody;
use crate::call::{Call, CallResult, EndReport};
use crate::report::RequestLine;

/// A handshake without a response: the application's call and its mailbox.
#[derive(Debug)]
pub struct Handshake {
    /// `None` once the call has ended or has been taken.
    call: Option<Call>,
    mailbox: Arc<Mailbox>,
    is_answered: bool,
}

/// The response to a handshake.
#[derive(Debug)]
pub enum HandshakeResponse {
    /// The application has accepted. [`response_head`] creates the head of the response, and
    /// [`Handshake::open`] returns the parts of the WebSocket.
    Accept(WebSocketAccept),
    /// A response that the server creates, with this status.
    Refuse(StatusCode),
    /// A denial response: its head and its content.
    Deny(HttpResponseStart, ResponseBody),
}

impl Handshake {
    /// Calls the application.
    #[must_use]
    pub fn new(app: &BoxApp, scope: Box<WebSocketScope>) -> Self {
        let request = RequestLine::of_websocket(&scope);
        let mailbox = Arc::new(Mailbox::new(&scope));
        let call = Call::new(app, scope.into(), &mailbox, request);
        Self {
            call: Some(call),
            mailbox,
            is_answered: false,
        }
    }

    /// Sets a function that is called with the end of the call. The function is not called when the
    /// call is dropped before its end.
    pub fn on_end(&mut self, on_end: impl FnOnce(CallResult, EndReport) + Send + 'static) {
        if let Some(call) = &mut self.call {
            call.on_end(on_end);
        }
    }

    /// Has the application polled in a span. The span ends with the call at the earliest.
    pub fn instrument(&mut self, span: &Span) {
        if let Some(call) = &mut self.call {
            call.instrument(span);
        }
    }

    /// Sets the number of messages at which the queue of each direction is full. Default: 64.
    pub fn set_queue_capacity(&mut self, messages: usize) {
        self.mailbox.set_queue_capacity(messages);
    }

    /// Polls the application, and returns the response once it is known. The handshake must not be
    /// polled again after that.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<HandshakeResponse> {
        if let Some(call) = &mut self.call
            && call.poll(cx, &*self.mailbox).is_ready()
        {
            self.call = None;
        }
        let response = ready!(self.mailbox.poll_response(cx));
        self.is_answered = true;
        Poll::Ready(response)
    }

    /// Refuses the handshake at the shutdown of the server, if the application has not responded
    /// (rule `WS-34`). The next poll returns the refusal.
    pub fn refuse_at_shutdown(&mut self) {
        self.mailbox.refuse_at_shutdown();
    }

    /// Refuses the handshake with 504, if the application has not responded. The application receives a
    /// disconnect, and the next poll returns the refusal.
    pub fn time_out(&mut self) {
        self.mailbox.time_out();
    }

    /// Returns the parts of an accepted WebSocket: its call, if that has not ended, and its
    /// mailbox.
    pub fn open(&mut self) -> (Option<Call>, Arc<Mailbox>) {
        (self.call.take(), self.mailbox.clone())
    }

    /// Takes the call if it has not ended. The server runs it on: [`Call::run`].
    ///
    /// A server detaches the call after the response to the handshake, or when the client is gone.
    /// In the latter case the application receives a disconnect.
    pub fn detach(&mut self) -> Option<(Call, Arc<Mailbox>)> {
        let call = self.call.take()?;
        if !self.is_answered {
            self.mailbox.disconnect_with(WebSocketDisconnect::new(1006));
        }
        Some((call, self.mailbox.clone()))
    }
}

/// Returns the head of the response that accepts a handshake (RFC 6455, 4.2.2; over HTTP/2 RFC 8441,
/// 5). `accept_key` is the value of `sec-websocket-accept`, which only HTTP/1.1 has. `extensions` is
/// the value of `sec-websocket-extensions`.
#[must_use]
pub fn response_head(
    accept: WebSocketAccept,
    version: Version,
    accept_key: Option<HeaderValue>,
    extensions: Option<HeaderValue>,
) -> HttpResponseStart {
    let mut head = HttpResponseStart::ok();
    head.headers = accept.headers;
    if let Some(subprotocol) = accept.subprotocol
        && let Ok(subprotocol) = HeaderValue::from_str(&subprotocol)
    {
        head.headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    if let Some(extensions) = extensions {
        head.headers.insert(SEC_WEBSOCKET_EXTENSIONS, extensions);
    }
    if version <= Version::HTTP_11 {
        head.status = StatusCode::SWITCHING_PROTOCOLS;
        let headers = &mut head.headers;
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Some(key) = accept_key {
            headers.insert(SEC_WEBSOCKET_ACCEPT, key);
        }
    }
    head
}
