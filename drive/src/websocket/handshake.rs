//! The handshake: an HTTP request that the application turns into a WebSocket, or refuses.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{BoxApp, HttpResponseStart, WebSocketAccept, WebSocketDisconnect, WebSocketScope};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{StatusCode, Version};

use super::Mailbox;
use crate::ResponseBody;
use crate::call::Call;
use crate::report::RequestLine;

/// An answer in the making: the application's call and its mailbox.
#[derive(Debug)]
pub struct Handshake {
    /// None once it has ended or has been handed on.
    call: Option<Call>,
    mailbox: Arc<Mailbox>,
    is_answered: bool,
}

/// What a handshake is answered with.
#[derive(Debug)]
pub enum Answer {
    /// A WebSocket: [`accepted`] makes the head of it, and [`Handshake::open`] what carries it.
    Accept(WebSocketAccept),
    /// A response of the server's own.
    Refuse(StatusCode),
    /// A denial response: its head, and its content, all of it or as it comes.
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

    /// Polls the application, and says what to answer once that is known. Not to be polled again
    /// after that.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        if let Some(call) = &mut self.call
            && call.poll(cx, &*self.mailbox).is_ready()
        {
            self.call = None;
        }
        let answer = ready!(self.mailbox.poll_answer(cx));
        self.is_answered = true;
        Poll::Ready(answer)
    }

    /// Refuses what the application has not answered, as the server shuts down (rule `WS-34`): the
    /// next poll says so.
    pub fn refuse_at_shutdown(&mut self) {
        self.mailbox.refuse_at_shutdown();
    }

    /// What a WebSocket that the application has accepted is carried with: its mailbox, and its
    /// call, if that has not ended.
    pub fn open(&mut self) -> (Option<Call>, Arc<Mailbox>) {
        (self.call.take(), self.mailbox.clone())
    }

    /// Leaves the handshake: to be done once it has been answered, or when nobody waits for that
    /// any more. In the latter case the application is told that its client is gone.
    ///
    /// What is left of the call is for the caller to run to its end: [`Call::run`].
    pub fn detach(&mut self) -> Option<(Call, Arc<Mailbox>)> {
        let call = self.call.take()?;
        if !self.is_answered {
            self.mailbox.over(WebSocketDisconnect::new(1006));
        }
        Some((call, self.mailbox.clone()))
    }
}

/// The head of the answer that accepts a handshake (RFC 6455, 4.2.2; over HTTP/2 RFC 8441, 5), with
/// the accept key that the server has made, over HTTP/1.1.
#[must_use]
pub fn accepted(
    accept: WebSocketAccept,
    version: Version,
    accept_key: Option<HeaderValue>,
) -> HttpResponseStart {
    let mut head = HttpResponseStart::ok();
    head.headers = accept.headers;
    if let Some(subprotocol) = accept.subprotocol
        && let Ok(subprotocol) = HeaderValue::from_str(&subprotocol)
    {
        head.headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
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
