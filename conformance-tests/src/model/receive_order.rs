//! The server's side of an exchange: the order in which a server may yield events.

use std::borrow::Cow;

use callgate::rule;
use callgate::{Feature, ReceiveEvent, Scope, Violation, WebSocketClose, WebSocketDisconnect};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

use super::conversation::Conversation;
use super::exchange_phase::ExchangePhase;

/// The events that an application has received, as far as they decide what may come next.
#[derive(Clone, Debug)]
pub(super) enum ReceiveOrder {
    Http(HttpOrder),
    WebSocket(WebSocketOrder),
    Lifespan(LifespanOrder),
    Unknown,
}

#[derive(Clone, Debug)]
pub(super) struct HttpOrder {
    phase: RequestPhase,
    /// The bytes of the request's `content-length` that have not come, if the request has one.
    remaining: Option<u64>,
    offers_shutdown: bool,
    has_shut_down: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum RequestPhase {
    Content,
    Complete,
    Disconnected,
}

#[derive(Clone, Debug)]
pub(super) enum WebSocketOrder {
    New,
    Connected,
    /// The application has closed the WebSocket.
    Closed(WebSocketClose),
    Disconnected(WebSocketDisconnect),
}

#[derive(Clone, Debug)]
pub(super) enum LifespanOrder {
    New,
    Started,
    ShutDown,
}

impl ReceiveOrder {
    pub(super) fn new(scope: &Scope) -> Self {
        match scope {
            Scope::Http(scope) => Self::Http(HttpOrder {
                phase: RequestPhase::Content,
                remaining: content_length(&scope.headers, scope.version),
                offers_shutdown: scope.features.contains(Feature::Shutdown),
                has_shut_down: false,
            }),
            Scope::WebSocket(_) => Self::WebSocket(WebSocketOrder::New),
            Scope::Lifespan(_) => Self::Lifespan(LifespanOrder::New),
            _ => Self::Unknown,
        }
    }

    /// Notes that the application has received `event`; returns the rule that the server breaks with
    /// it. `conversation` is the application's side of the exchange.
    pub(super) fn received(
        &mut self,
        event: &ReceiveEvent,
        conversation: &Conversation,
    ) -> Option<Violation> {
        if let ReceiveEvent::Unknown(_) = event {
            return None;
        }
        match self {
            Self::Http(order) => order.received(event, conversation.phase()),
            Self::WebSocket(order) => order.received(event, conversation.is_answered()),
            Self::Lifespan(order) => order.received(event, conversation.is_answered()),
            Self::Unknown => None,
        }
    }

    /// Returns whether the last of the request's content has been received.
    pub(super) fn is_request_complete(&self) -> bool {
        matches!(self, Self::Http(order) if order.phase != RequestPhase::Content)
    }

    /// Notes how the application has closed a WebSocket, which decides the code of the disconnect.
    pub(super) fn closed(&mut self, close: WebSocketClose) {
        if let Self::WebSocket(order @ (WebSocketOrder::New | WebSocketOrder::Connected)) = self {
            *order = WebSocketOrder::Closed(close);
        }
    }
}

fn broken(rule: &'static rule::Rule, detail: impl Into<Cow<'static, str>>) -> Option<Violation> {
    Some(Violation::new(rule, detail))
}

/// Returns the violation of a server that yields an event of another kind of scope.
fn foreign_event(event: &ReceiveEvent, kind: &str) -> Option<Violation> {
    broken(
        rule::ONE_CALL,
        format!("`{}` was received in {kind} scope", event.type_name()),
    )
}

impl HttpOrder {
    fn received(&mut self, event: &ReceiveEvent, phase: ExchangePhase) -> Option<Violation> {
        let request = match event {
            ReceiveEvent::HttpRequestBody(request) => request,
            ReceiveEvent::HttpDisconnect => {
                self.phase = RequestPhase::Disconnected;
                return None;
            }
            ReceiveEvent::HttpShutdown => return self.shutdown(phase),
            other => return foreign_event(other, "an HTTP"),
        };
        match self.phase {
            RequestPhase::Content => {}
            RequestPhase::Complete => {
                return broken(
                    rule::RECEIVE_AFTER_BODY,
                    "`http.request` was received after one with `more_body` unset",
                );
            }
            RequestPhase::Disconnected => {
                return broken(
                    rule::DISCONNECT_REPEATS,
                    "`http.request` was received after `http.disconnect`",
                );
            }
        }
        if !request.more_body {
            self.phase = RequestPhase::Complete;
        }
        if phase == ExchangePhase::Broken {
            return broken(
                rule::VIOLATION_IS_A_DISCONNECT,
                "`http.request` was received after a rule had been broken",
            );
        }
        if request.more_body && request.trailers.is_some() {
            return broken(
                rule::REQUEST_TRAILERS,
                "trailer fields were received with `more_body` set",
            );
        }
        let remaining = self.remaining.as_mut()?;
        let length = request.body.len() as u64;
        match remaining.checked_sub(length) {
            None => broken(
                rule::REQUEST_BODY,
                format!("{length} bytes were received where {remaining} were left"),
            ),
            Some(left) if left > 0 && !request.more_body => broken(
                rule::NO_SHORT_BODY,
                format!("`more_body` was unset with {left} bytes to come"),
            ),
            Some(left) => {
                *remaining = left;
                None
            }
        }
    }
}

impl HttpOrder {
    fn shutdown(&mut self, phase: ExchangePhase) -> Option<Violation> {
        let is_repeated = std::mem::replace(&mut self.has_shut_down, true);
        let (rule, reason) = match self.phase {
            _ if !self.offers_shutdown => (rule::SHUTDOWN_ONCE, "and is not offered"),
            _ if is_repeated => (rule::SHUTDOWN_ONCE, "more than once"),
            RequestPhase::Content => (
                rule::SHUTDOWN_ONCE,
                "before an `http.request` with `more_body` unset",
            ),
            RequestPhase::Disconnected => (rule::SHUTDOWN_ONCE, "after `http.disconnect`"),
            RequestPhase::Complete if phase == ExchangePhase::Broken => (
                rule::VIOLATION_IS_A_DISCONNECT,
                "after a rule had been broken",
            ),
            RequestPhase::Complete if phase == ExchangePhase::Ended => (
                rule::RECEIVE_AFTER_BODY,
                "after the response had been completed",
            ),
            RequestPhase::Complete => return None,
        };
        broken(rule, format!("`http.shutdown` was received {reason}"))
    }
}

impl WebSocketOrder {
    fn received(&mut self, event: &ReceiveEvent, is_answered: bool) -> Option<Violation> {
        match event {
            ReceiveEvent::WebSocketConnect
            | ReceiveEvent::WebSocketReceive(_)
            | ReceiveEvent::WebSocketDisconnect(_) => {}
            other => return foreign_event(other, "a WebSocket"),
        }
        let name = event.type_name();
        match (&*self, event) {
            (Self::Disconnected(before), ReceiveEvent::WebSocketDisconnect(now)) => {
                if before == now {
                    return None;
                }
                broken(
                    rule::DISCONNECT_REPEATS,
                    format!("the code was {} and then {}", before.code, now.code),
                )
            }
            (Self::Disconnected(_), _) => broken(
                rule::DISCONNECT_REPEATS,
                format!("`{name}` was received after `websocket.disconnect`"),
            ),
            (Self::Closed(close), ReceiveEvent::WebSocketDisconnect(disconnect)) => {
                let (code, reason) = (close.code, close.reason.clone());
                *self = Self::Disconnected(disconnect.clone());
                if (disconnect.code, &disconnect.reason) == (code, &reason) {
                    return None;
                }
                let detail = format!("closed with {code}, disconnected with {}", disconnect.code);
                broken(rule::CLOSE_CODE_KEPT, detail)
            }
            // The application may have closed the WebSocket before it received this.
            (Self::Closed(_), ReceiveEvent::WebSocketConnect) => None,
            (Self::Closed(_), _) => broken(
                rule::CLOSE_CODE_KEPT,
                format!("`{name}` was received after `websocket.close`"),
            ),
            (Self::New, ReceiveEvent::WebSocketConnect) => {
                *self = Self::Connected;
                None
            }
            (Self::New, ReceiveEvent::WebSocketDisconnect(disconnect)) => {
                *self = Self::Disconnected(disconnect.clone());
                broken(rule::CONNECT_FIRST, format!("`{name}` was the first event"))
            }
            (Self::New, _) => {
                *self = Self::Connected;
                broken(rule::CONNECT_FIRST, format!("`{name}` was the first event"))
            }
            (Self::Connected, ReceiveEvent::WebSocketConnect) => broken(
                rule::CONNECT_FIRST,
                "`websocket.connect` was received more than once",
            ),
            (Self::Connected, ReceiveEvent::WebSocketDisconnect(disconnect)) => {
                *self = Self::Disconnected(disconnect.clone());
                None
            }
            (Self::Connected, _) if !is_answered => broken(
                rule::HANDSHAKE_WAITS,
                "a message was received before the handshake was answered",
            ),
            (Self::Connected, _) => None,
        }
    }
}

impl LifespanOrder {
    fn received(&mut self, event: &ReceiveEvent, is_answered: bool) -> Option<Violation> {
        match (&*self, event) {
            (Self::New, ReceiveEvent::LifespanStartup) => {
                *self = Self::Started;
                None
            }
            (_, ReceiveEvent::LifespanStartup) => broken(
                rule::STARTUP_FIRST,
                "`lifespan.startup` was received more than once",
            ),
            (Self::New, ReceiveEvent::LifespanShutdown) => {
                *self = Self::ShutDown;
                broken(
                    rule::STARTUP_FIRST,
                    "`lifespan.shutdown` was the first event",
                )
            }
            (Self::ShutDown, ReceiveEvent::LifespanShutdown) => broken(
                rule::SHUTDOWN_LAST,
                "`lifespan.shutdown` was received more than once",
            ),
            (Self::Started, ReceiveEvent::LifespanShutdown) => {
                *self = Self::ShutDown;
                if !is_answered {
                    return broken(
                        rule::SHUTDOWN_LAST,
                        "`lifespan.shutdown` was received before start-up was answered",
                    );
                }
                None
            }
            (_, other) => foreign_event(other, "a lifespan"),
        }
    }
}

/// Returns the length of the request's content, if `content-length` decides it.
fn content_length(headers: &HeaderMap, version: Version) -> Option<u64> {
    if version <= Version::HTTP_11 && headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
