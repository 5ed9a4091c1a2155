//! The application's side, whatever the kind of scope.

use callgate::conversation::{
    HttpConversation, HttpPhase, LifespanConversation, LifespanPhase, WebSocketConversation,
    WebSocketPhase,
};
use callgate::{Scope, SendError, SendEvent, Violation};

use super::Standing;

#[derive(Clone, Debug)]
pub(super) enum Conversation {
    Http(HttpConversation),
    WebSocket(WebSocketConversation),
    Lifespan(LifespanConversation),
    /// Of a kind that this version does not know.
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

    /// Whether the handshake, or the start-up, has been answered.
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

    pub(super) fn standing(&self) -> Standing {
        match self {
            Self::Http(conversation) => match conversation.phase() {
                HttpPhase::Ended => Standing::Ended,
                HttpPhase::Broken(_) => Standing::Broken,
                HttpPhase::Disconnected => Standing::Gone,
                HttpPhase::Returned => Standing::Returned,
                _ => Standing::Open,
            },
            Self::WebSocket(conversation) => match conversation.phase() {
                WebSocketPhase::Closed => Standing::Ended,
                WebSocketPhase::Broken(_) => Standing::Broken,
                WebSocketPhase::Disconnected => Standing::Gone,
                WebSocketPhase::Returned => Standing::Returned,
                _ => Standing::Open,
            },
            Self::Lifespan(conversation) => match conversation.phase() {
                LifespanPhase::StartupFailed | LifespanPhase::ShutDown => Standing::Ended,
                LifespanPhase::Broken(_) => Standing::Broken,
                LifespanPhase::Returned => Standing::Returned,
                _ => Standing::Open,
            },
            Self::Unknown => Standing::Open,
        }
    }
}
