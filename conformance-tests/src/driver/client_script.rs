//! The script of the client in one exchange.

use callgate::{ReceiveEvent, Scope, WebSocketDisconnect};

use super::memory_budget::MemoryBudget;

/// The scope of a call, the events that the application receives, and when the client disconnects or
/// stops reading.
pub(crate) struct ClientScript {
    pub(crate) scope: Scope,
    /// The events of the client, in order.
    pub(crate) events: Box<dyn Iterator<Item = ScriptedEvent> + Send>,
    /// The client disconnects after this many events, received and sent.
    pub(crate) disconnects_after: Option<usize>,
    /// The client stops reading after this many sent events.
    pub(crate) stops_reading_after: Option<usize>,
    /// Nothing more is received or sent after this many events, until the driver
    /// disconnects the client.
    pub(crate) pauses_after: Option<usize>,
    /// The event that the application receives when the client disconnects.
    pub(crate) disconnect_event: ReceiveEvent,
    /// Whether every second poll of the channel lets other tasks run first, so that concurrent calls
    /// interleave event by event.
    pub(crate) interleaves: bool,
    /// Whether `lifespan.shutdown` is held back until it is released.
    pub(crate) holds_shutdown: bool,
    /// The amount of the client's content that the application may hold, where it is measured.
    pub(crate) memory: Option<MemoryBudget>,
}

/// An event of the client, and when it may come.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedEvent {
    pub(crate) event: ReceiveEvent,
    /// The event comes after the application has sent this many events, or sooner if the
    /// application does nothing but wait for it. A disconnect comes sooner only when the time budget
    /// is exhausted.
    pub(crate) after_sends: usize,
}

impl From<ReceiveEvent> for ScriptedEvent {
    fn from(event: ReceiveEvent) -> Self {
        Self {
            event,
            after_sends: 0,
        }
    }
}

impl ClientScript {
    /// Creates the script of a client that sends these events, in a call with this scope.
    pub(crate) fn new<I>(scope: impl Into<Scope>, events: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ScriptedEvent> + 'static,
        I::IntoIter: Send + 'static,
    {
        let scope = scope.into();
        let disconnect_event = match &scope {
            Scope::WebSocket(_) => {
                ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1006))
            }
            _ => ReceiveEvent::HttpDisconnect,
        };
        Self {
            scope,
            events: Box::new(events.into_iter().map(Into::into)),
            disconnects_after: None,
            stops_reading_after: None,
            pauses_after: None,
            disconnect_event,
            interleaves: false,
            holds_shutdown: false,
            memory: None,
        }
    }
}

/// Returns whether `event` is a disconnect, of an HTTP client or of a WebSocket.
pub(crate) fn is_disconnect(event: &ReceiveEvent) -> bool {
    matches!(
        event,
        ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
    )
}
