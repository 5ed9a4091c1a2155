//! The server's side: the order in which received events may come.

use callgate::rule::{self, Rule};
use callgate::{ReceiveEvent, Scope, Violation, WebSocketClose, WebSocketDisconnect};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

use super::Standing;
use super::conversation::Conversation;

/// What has been received of an exchange.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Http(Http),
    WebSocket(WebSocket),
    Lifespan(Lifespan),
    Unknown,
}

#[derive(Clone, Debug)]
pub(super) struct Http {
    phase: HttpPhase,
    /// Bytes that the request's `content-length` still promises, if it has one.
    remaining: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
enum HttpPhase {
    Content,
    Whole,
    Disconnected,
}

#[derive(Clone, Debug)]
pub(super) enum WebSocket {
    New,
    Connected,
    /// The application has closed it, with this.
    Closed(WebSocketClose),
    Disconnected(WebSocketDisconnect),
}

#[derive(Clone, Debug)]
pub(super) enum Lifespan {
    New,
    Started,
    ShutDown,
}

type Broken = Option<(&'static Rule, String)>;

fn broken(rule: &'static Rule, detail: impl Into<String>) -> Broken {
    Some((rule, detail.into()))
}

impl Order {
    pub(super) fn new(scope: &Scope) -> Self {
        match scope {
            Scope::Http(scope) => Self::Http(Http {
                phase: HttpPhase::Content,
                remaining: content_length(&scope.headers, scope.version),
            }),
            Scope::WebSocket(_) => Self::WebSocket(WebSocket::New),
            Scope::Lifespan(_) => Self::Lifespan(Lifespan::New),
            _ => Self::Unknown,
        }
    }

    /// What `event` breaks, where `sent` is the application's side.
    pub(super) fn received(&mut self, event: &ReceiveEvent, sent: &Conversation) -> Vec<Violation> {
        if let ReceiveEvent::Unknown(_) = event {
            return Vec::new();
        }
        let found = match self {
            Self::Http(order) => order.received(event, sent.standing()),
            Self::WebSocket(order) => order.received(event, sent.is_answered()),
            Self::Lifespan(order) => order.received(event, sent.is_answered()),
            Self::Unknown => None,
        };
        found
            .map(|(rule, detail)| Violation::new(rule, detail))
            .into_iter()
            .collect()
    }

    /// Whether the last of the request's content has been received.
    pub(super) fn is_request_whole(&self) -> bool {
        matches!(self, Self::Http(order) if order.phase != HttpPhase::Content)
    }

    /// Notes how the application has closed a WebSocket, which decides what comes next.
    pub(super) fn closed(&mut self, close: WebSocketClose) {
        if let Self::WebSocket(order @ (WebSocket::New | WebSocket::Connected)) = self {
            *order = WebSocket::Closed(close);
        }
    }
}

fn foreign(event: &ReceiveEvent, kind: &str) -> Broken {
    broken(
        rule::ONE_CALL,
        format!("`{}` was received in {kind} scope", event.type_name()),
    )
}

impl Http {
    fn received(&mut self, event: &ReceiveEvent, standing: Standing) -> Broken {
        let request = match event {
            ReceiveEvent::HttpRequestBody(request) => request,
            ReceiveEvent::HttpDisconnect => {
                self.phase = HttpPhase::Disconnected;
                return None;
            }
            other => return foreign(other, "an HTTP"),
        };
        match self.phase {
            HttpPhase::Content => {}
            HttpPhase::Whole => {
                return broken(
                    rule::RECEIVE_AFTER_BODY,
                    "`http.request` was received after one with `more_body` unset",
                );
            }
            HttpPhase::Disconnected => {
                return broken(
                    rule::DISCONNECT_REPEATS,
                    "`http.request` was received after `http.disconnect`",
                );
            }
        }
        if !request.more_body {
            self.phase = HttpPhase::Whole;
        }
        if standing == Standing::Broken {
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

impl WebSocket {
    fn received(&mut self, event: &ReceiveEvent, is_answered: bool) -> Broken {
        match event {
            ReceiveEvent::WebSocketConnect
            | ReceiveEvent::WebSocketReceive(_)
            | ReceiveEvent::WebSocketDisconnect(_) => {}
            other => return foreign(other, "a WebSocket"),
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
            // It may not have received that yet.
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

impl Lifespan {
    fn received(&mut self, event: &ReceiveEvent, is_answered: bool) -> Broken {
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
            (_, other) => foreign(other, "a lifespan"),
        }
    }
}

/// What the request promises, where its length is told by `content-length`.
fn content_length(headers: &HeaderMap, version: Version) -> Option<u64> {
    if version <= Version::HTTP_11 && headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
