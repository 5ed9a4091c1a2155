//! What a server holds of a WebSocket, without the waiting.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use callgate::conversation::{WebSocketConversation, WebSocketPhase};
use callgate::{
    HttpResponseStart, Message, ReceiveEvent, SendError, SendEvent, Violation, WebSocketAccept,
    WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::link::Incoming;

/// One WebSocket, with bounded queues both ways.
pub(super) struct WebSocketState {
    conversation: WebSocketConversation,
    /// How many messages are held each way.
    bound: usize,
    /// Whether `websocket.connect` is still to be received.
    is_connecting: bool,
    inbound: VecDeque<Message>,
    /// The end, to be received after what is queued.
    disconnect: Option<WebSocketDisconnect>,
    outbound: VecDeque<Message>,
    /// The close, for the client after what is queued.
    close: Option<WebSocketClose>,
    /// A denial response that is not whole.
    denial: Option<(HttpResponseStart, BytesMut)>,
    /// Whether a body event of the denial response has been sent.
    is_denial_sent: bool,
    /// The answer to the handshake, for the client.
    answer: Option<Answer>,
    is_gone: bool,
    /// Whether the application has been told of an end before its own.
    is_told: bool,
}

/// What a handshake is answered with.
pub(super) enum Answer {
    Accept(WebSocketAccept),
    /// A response in place of a WebSocket, and whether it is whole.
    Response(HttpResponseStart, Bytes, bool),
    /// Nothing: the client has gone away.
    Gone,
}

/// What a client that reads gets.
pub(super) enum Reading {
    Message(Message),
    Close(WebSocketClose),
    /// The client has gone away.
    Gone,
}

/// How far a WebSocket has come, as far as ending it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unanswered,
    /// Part of a denial response has been sent.
    Denying,
    Open,
    Over,
}

impl WebSocketState {
    pub(super) fn new(scope: &WebSocketScope, bound: usize) -> Self {
        Self {
            conversation: WebSocketConversation::new(scope),
            bound,
            is_connecting: true,
            inbound: VecDeque::new(),
            disconnect: None,
            outbound: VecDeque::new(),
            close: None,
            denial: None,
            is_denial_sent: false,
            answer: None,
            is_gone: false,
            is_told: false,
        }
    }

    pub(super) fn take_answer(&mut self) -> Option<Answer> {
        let gone = self.is_gone.then_some(Answer::Gone);
        self.answer.take().or(gone)
    }

    /// The next message for the client, or the end.
    pub(super) fn read(&mut self) -> Option<Reading> {
        if self.is_gone {
            return Some(Reading::Gone);
        }
        let message = self.outbound.pop_front().map(Reading::Message);
        message.or_else(|| self.close.clone().map(Reading::Close))
    }

    /// A message from the client: none, leaving it, while there is no room. An error when nobody
    /// will take it any more.
    pub(super) fn deliver(&mut self, message: &mut Option<Message>) -> Option<Result<(), Reading>> {
        if self.is_gone {
            return Some(Err(Reading::Gone));
        }
        if let Some(close) = &self.close {
            return Some(Err(Reading::Close(close.clone())));
        }
        if self.inbound.len() >= self.bound {
            return None;
        }
        self.inbound.extend(message.take());
        Some(Ok(()))
    }

    /// The client goes away, or the server does.
    pub(super) fn disconnect(&mut self, disconnect: WebSocketDisconnect) {
        self.is_told |= self.progress() != Progress::Over;
        self.conversation.disconnect();
        self.disconnect.get_or_insert(disconnect);
        self.outbound.clear();
        self.is_gone = true;
    }

    /// The server shuts down (rules `WS-26` and `WS-34`).
    pub(super) fn shut_down(&mut self) {
        let disconnect = WebSocketDisconnect::new(1012);
        match self.progress() {
            Progress::Unanswered if self.denial.is_none() => {
                self.is_told = true;
                self.conversation.disconnect();
                self.disconnect = Some(disconnect);
                self.refuse(StatusCode::SERVICE_UNAVAILABLE);
            }
            Progress::Open => {
                self.is_told = true;
                self.conversation.disconnect();
                self.close_with(WebSocketClose::new(1012));
            }
            _ => {}
        }
    }

    /// As [`HttpState::is_told`](super::http_state::HttpState::is_told).
    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    pub(super) fn is_declinable(&self) -> bool {
        self.progress() == Progress::Unanswered
    }

    pub(super) fn receive(&mut self) -> Incoming {
        if std::mem::take(&mut self.is_connecting) {
            return Incoming::Event(ReceiveEvent::WebSocketConnect);
        }
        if let Some(message) = self.inbound.pop_front() {
            return Incoming::Event(ReceiveEvent::WebSocketReceive(message));
        }
        match &self.disconnect {
            Some(disconnect) => {
                Incoming::Event(ReceiveEvent::WebSocketDisconnect(disconnect.clone()))
            }
            None => Incoming::Nothing,
        }
    }

    /// Whether the application can send.
    pub(super) fn has_room(&self) -> bool {
        self.progress() != Progress::Open || self.outbound.len() < self.bound
    }

    /// What the application sends.
    pub(super) fn send(&mut self, event: &SendEvent) -> Result<(), SendError> {
        let progress = self.progress();
        let result = self.conversation.send(event);
        match &result {
            Ok(()) => self.take(event, progress == Progress::Open),
            Err(SendError::Violation(_)) => {
                self.is_told |= progress != Progress::Over;
                self.fail(StatusCode::INTERNAL_SERVER_ERROR, progress, 1011);
            }
            Err(_) => {}
        }
        result
    }

    /// The call has ended; returns the rule that it broke.
    pub(super) fn returned(&mut self, failure: Option<StatusCode>) -> Option<Violation> {
        let progress = self.progress();
        let violation = self.conversation.returned().err();
        if failure.is_some() || violation.is_some() {
            let status = failure.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            self.fail(status, progress, 1006);
        } else if progress == Progress::Open {
            self.close_with(WebSocketClose::new(1000));
        }
        violation
    }

    /// Takes an event that the conversation has allowed.
    fn take(&mut self, event: &SendEvent, was_open: bool) {
        match event {
            SendEvent::WebSocketAccept(accept) => {
                self.answer = Some(Answer::Accept(accept.clone()));
            }
            SendEvent::WebSocketSend(message) => self.outbound.push_back(message.clone()),
            SendEvent::WebSocketClose(close) if was_open => self.close_with(close.clone()),
            SendEvent::WebSocketClose(close) => {
                let disconnect = WebSocketDisconnect::new(close.code).reason(close.reason.clone());
                self.disconnect = Some(disconnect);
                self.refuse(StatusCode::FORBIDDEN);
            }
            SendEvent::DenialResponseStart(start) => {
                self.denial = Some((start.clone(), BytesMut::new()));
            }
            SendEvent::DenialResponseBody(body) => {
                let Some((_, content)) = &mut self.denial else {
                    return;
                };
                content.extend_from_slice(&body.body);
                let is_whole = !self.is_denial_sent && !body.more_body;
                self.is_denial_sent = true;
                if !body.more_body {
                    self.disconnect = Some(WebSocketDisconnect::new(1006));
                    self.deny(true, is_whole);
                }
            }
            _ => {}
        }
    }

    /// Hands over the denial response, as far as it came.
    fn deny(&mut self, is_complete: bool, has_length: bool) {
        let Some((mut start, content)) = self.denial.take() else {
            return;
        };
        let may_have_length = !matches!(
            start.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        if has_length && may_have_length && !start.headers.contains_key(CONTENT_LENGTH) {
            start.headers.insert(CONTENT_LENGTH, content.len().into());
        }
        self.answer = Some(Answer::Response(start, content.freeze(), is_complete));
    }

    /// Answers the handshake in place of the application.
    pub(super) fn refuse(&mut self, status: StatusCode) {
        let content = status.canonical_reason().unwrap_or_default();
        let start = HttpResponseStart::new(status)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(CONTENT_LENGTH, content.len());
        self.denial = None;
        self.answer = Some(Answer::Response(start, content.into(), true));
    }

    /// Closes after what is queued.
    fn close_with(&mut self, close: WebSocketClose) {
        let disconnect = WebSocketDisconnect::new(close.code).reason(close.reason.clone());
        self.disconnect.get_or_insert(disconnect);
        self.close.get_or_insert(close);
    }

    /// Ends what the application has begun, as it failed.
    fn fail(&mut self, status: StatusCode, progress: Progress, code: u16) {
        match progress {
            Progress::Unanswered => self.refuse(status),
            Progress::Denying => self.deny(false, false),
            Progress::Open => self.close_with(WebSocketClose::new(1011)),
            Progress::Over => {}
        }
        self.disconnect
            .get_or_insert(WebSocketDisconnect::new(code));
    }

    fn progress(&self) -> Progress {
        match self.conversation.phase() {
            WebSocketPhase::Connecting => Progress::Unanswered,
            WebSocketPhase::Denying(_) if self.is_denial_sent => Progress::Denying,
            WebSocketPhase::Denying(_) => Progress::Unanswered,
            WebSocketPhase::Open => Progress::Open,
            _ => Progress::Over,
        }
    }
}
