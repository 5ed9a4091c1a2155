//! The exchanges that the suite runs against an application.

use crate::scope_kind::ScopeKind;

/// An exchange, or several that differ in one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scenario {
    /// A request without content. No feature is offered.
    Get,
    Head,
    Http10,
    /// A request without content over HTTP/1.1. Every feature is offered.
    GetWithFeatures,
    /// A request with content over HTTP/1.1. Every feature is offered.
    PostWithFeatures,
    /// A request without content over HTTP/2. Every feature is offered.
    Http2WithFeatures,
    /// A request whose content comes in one event.
    PostWhole,
    /// A request with the same content in many events, some of them empty.
    PostSplit,
    /// A POST request without content.
    PostEmpty,
    /// A request whose client does not finish its content.
    PostUnfinished,
    /// [`Get`](Self::Get) with a client that disconnects, at each position.
    GetDisconnected,
    /// [`PostSplit`](Self::PostSplit) with a client that disconnects, at each position.
    PostDisconnected,
    /// [`Get`](Self::Get) with a client that stops reading, after each event.
    GetUnread,
    /// [`PostSplit`](Self::PostSplit) with a client that stops reading, after each event.
    PostUnread,
    /// [`PostSplit`](Self::PostSplit) with an unknown event, at each position.
    PostWithUnknownEvent,
    /// A request whose client waits while the server shuts down. Shutdown is the only feature that is
    /// offered.
    GetWithShutdown,
    /// A request with four times as much content as one exchange may hold.
    PostFlood,
    /// The same from a client that reads only the head of the response.
    PostFloodUnread,
    /// A WebSocket: the client offers subprotocols, sends messages and closes.
    WebSocket,
    /// A WebSocket without subprotocols.
    WebSocketPlain,
    /// A WebSocket over HTTP/2. Denial responses are offered.
    WebSocketWithFeatures,
    /// [`WebSocket`](Self::WebSocket) with a client that disconnects, at each position.
    WebSocketDisconnected,
    /// [`WebSocket`](Self::WebSocket) with a client that stops reading, after each event.
    WebSocketUnread,
    /// [`WebSocket`](Self::WebSocket) with an unknown event, at each position.
    WebSocketWithUnknownEvent,
    /// A WebSocket with as many bytes of messages as [`PostFlood`](Self::PostFlood) has, from a client
    /// that reads only the answer to the handshake.
    WebSocketFlood,
    /// Start-up and shutdown.
    Lifespan,
    /// [`Lifespan`](Self::Lifespan) with an unknown event, at each position.
    LifespanWithUnknownEvent,
    /// A scope of an unknown kind.
    UnknownScope,
}

/// The difference between a scenario and the exchange that it is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variation {
    Disconnects,
    StopsReading,
    AddsUnknownEvent,
}

impl Scenario {
    /// Every scenario.
    pub(crate) const ALL: &[Self] = &[
        Self::Get,
        Self::Head,
        Self::Http10,
        Self::GetWithFeatures,
        Self::PostWithFeatures,
        Self::Http2WithFeatures,
        Self::PostWhole,
        Self::PostSplit,
        Self::PostEmpty,
        Self::PostUnfinished,
        Self::GetDisconnected,
        Self::PostDisconnected,
        Self::GetUnread,
        Self::PostUnread,
        Self::PostWithUnknownEvent,
        Self::GetWithShutdown,
        Self::PostFlood,
        Self::PostFloodUnread,
        Self::WebSocket,
        Self::WebSocketPlain,
        Self::WebSocketWithFeatures,
        Self::WebSocketDisconnected,
        Self::WebSocketUnread,
        Self::WebSocketWithUnknownEvent,
        Self::WebSocketFlood,
        Self::Lifespan,
        Self::LifespanWithUnknownEvent,
        Self::UnknownScope,
    ];

    pub(crate) fn scope_kind(self) -> ScopeKind {
        match self {
            Self::WebSocket
            | Self::WebSocketPlain
            | Self::WebSocketWithFeatures
            | Self::WebSocketDisconnected
            | Self::WebSocketUnread
            | Self::WebSocketWithUnknownEvent
            | Self::WebSocketFlood => ScopeKind::WebSocket,
            Self::Lifespan | Self::LifespanWithUnknownEvent => ScopeKind::Lifespan,
            Self::UnknownScope => ScopeKind::Unknown,
            _ => ScopeKind::Http,
        }
    }

    pub(crate) fn is_http(self) -> bool {
        self.scope_kind() == ScopeKind::Http
    }

    pub(crate) fn is_websocket(self) -> bool {
        self.scope_kind() == ScopeKind::WebSocket
    }

    pub(crate) fn is_lifespan(self) -> bool {
        self.scope_kind() == ScopeKind::Lifespan
    }

    /// Returns the exchange that this scenario is based on, and what it changes there.
    pub(crate) fn variation(self) -> Option<(Self, Variation)> {
        match self {
            Self::GetDisconnected => Some((Self::Get, Variation::Disconnects)),
            Self::GetUnread => Some((Self::Get, Variation::StopsReading)),
            Self::PostDisconnected => Some((Self::PostSplit, Variation::Disconnects)),
            Self::PostUnread => Some((Self::PostSplit, Variation::StopsReading)),
            Self::PostWithUnknownEvent => Some((Self::PostSplit, Variation::AddsUnknownEvent)),
            Self::WebSocketDisconnected => Some((Self::WebSocket, Variation::Disconnects)),
            Self::WebSocketUnread => Some((Self::WebSocket, Variation::StopsReading)),
            Self::WebSocketWithUnknownEvent => Some((Self::WebSocket, Variation::AddsUnknownEvent)),
            Self::LifespanWithUnknownEvent => Some((Self::Lifespan, Variation::AddsUnknownEvent)),
            _ => None,
        }
    }

    /// Returns whether the client sends more than the application may hold. The suite measures the
    /// memory of the process meanwhile, so that nothing else may run.
    pub(crate) fn is_flood(self) -> bool {
        matches!(
            self,
            Self::PostFlood | Self::PostFloodUnread | Self::WebSocketFlood
        )
    }

    /// Returns whether the application receives an event, or a scope, of an unknown kind.
    pub(crate) fn has_unknown(self) -> bool {
        let adds_unknown_event = matches!(self.variation(), Some((_, Variation::AddsUnknownEvent)));
        adds_unknown_event || self == Self::UnknownScope
    }

    /// Returns whether the scope offers features.
    pub(crate) fn offers_features(self) -> bool {
        matches!(
            self,
            Self::GetWithFeatures
                | Self::PostWithFeatures
                | Self::Http2WithFeatures
                | Self::GetWithShutdown
                | Self::WebSocketWithFeatures
        )
    }

    /// Returns whether a server and a client like any other could have this exchange: the client
    /// sends no flood, and the application receives nothing of an unknown kind.
    pub(crate) fn is_ordinary(self) -> bool {
        !self.is_flood() && !self.has_unknown()
    }
}
