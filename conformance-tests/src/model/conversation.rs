//! The application's side of an exchange, for every kind of scope.

use callgate::conversation::{
    HttpConversation, HttpPhase, LifespanConversation, LifespanPhase, WebSocketConversation,
    WebSocketPhase,
};
use callgate::{Scope, SendError, SendEvent, Violation};

use super::exchange_phase::ExchangePhase;

#[derive(Clone, Debug)]
pub(super) enum Conversation {
    Http(HttpConversation),
    WebSocket(WebSocketConversation),
    Lifespan(LifespanConversation),
    /// A kind of scope that this version does not know.
    Unknown,
}

impl Conversation {
    pub(super) fn new(scope: &Scope) -> Self {
        match scope {
            Scope::Http(scope) => Self::Http(HttpConversation::new(scope)),
            Scope::WebSocket(scope) => Self::WebSocket(WebSocketConversation::new(scope)),
            Scope::Lifespan(_) => Self::Lifespan(LifespanConversation::new()),
            _ => Self::Unknown,
        }
    }

    pub(super) fn send(&mut self, event: &SendEvent) -> Result<(), SendError> {
        match self {
            Self::Http(conversation) => conversation.send(event),
            Self::WebSocket(conversation) => conversation.send(event),
            Self::Lifespan(conversation) => conversation.send(event),
            Self::Unknown => Ok(()),
        }
    }

    pub(super) fn file(&mut self, length: u64) -> Result<(), SendError> {
        match self {
            Self::Http(conversation) => conversation.file(length),
            _ => Ok(()),
        }
    }

    pub(super) fn disconnect(&mut self) {
        match self {
            Self::Http(conversation) => conversation.disconnect(),
            Self::WebSocket(conversation) => conversation.disconnect(),
            Self::Lifespan(_) | Self::Unknown => {}
        }
    }

    pub(super) fn shutdown_received(&mut self) {
        if let Self::Lifespan(conversation) = self {
            conversation.shutdown_received();
        }
    }

    pub(super) fn returned(&mut self) -> Result<(), Violation> {
        match self {
            Self::Http(conversation) => conversation.returned(),
            Self::WebSocket(conversation) => conversation.returned(),
            Self::Lifespan(conversation) => conversation.returned(),
            Self::Unknown => Ok(()),
        }
    }

    pub(super) fn is_serving(&self) -> bool {
        matches!(self, Self::Lifespan(lifespan) if *lifespan.phase() == LifespanPhase::Started)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::WebSocket(socket) if matches!(socket.phase(), WebSocketPhase::Open))
    }

    /// Returns whether the WebSocket handshake, or the start-up, has been answered.
    pub(super) fn is_answered(&self) -> bool {
        match self {
            Self::WebSocket(socket) => !matches!(
                socket.phase(),
                WebSocketPhase::Connecting | WebSocketPhase::Denying(_)
            ),
            Self::Lifespan(lifespan) => *lifespan.phase() != LifespanPhase::Starting,
            Self::Http(_) | Self::Unknown => true,
        }
    }

    pub(super) fn phase(&self) -> ExchangePhase {
        match self {
            Self::Http(conversation) => match conversation.phase() {
                HttpPhase::Ended => ExchangePhase::Ended,
                HttpPhase::Broken(_) => ExchangePhase::Broken,
                HttpPhase::Disconnected => ExchangePhase::Disconnected,
                HttpPhase::Returned => ExchangePhase::Returned,
                _ => ExchangePhase::Open,
            },
            Self::WebSocket(conversation) => match conversation.phase() {
                WebSocketPhase::Closed => ExchangePhase::Ended,
                WebSocketPhase::Broken(_) => ExchangePhase::Broken,
                WebSocketPhase::Disconnected => ExchangePhase::Disconnected,
                WebSocketPhase::Returned => ExchangePhase::Returned,
                _ => ExchangePhase::Open,
            },
            Self::Lifespan(conversation) => match conversation.phase() {
                LifespanPhase::StartupFailed | LifespanPhase::ShutDown => ExchangePhase::Ended,
                LifespanPhase::Broken(_) => ExchangePhase::Broken,
                LifespanPhase::Returned => ExchangePhase::Returned,
                _ => ExchangePhase::Open,
            },
            Self::Unknown => ExchangePhase::Open,
        }
    }
}
