//! The events of WebSockets.

use bytes::Bytes;
use bytestring::ByteString;
use http::header::HeaderMap;

use crate::header_methods;

/// A complete WebSocket message, for `websocket.receive` and `websocket.send`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// Creates a text message.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::Text(text.into())
    }

    /// Creates a binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Returns the length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Opens the WebSocket: `websocket.accept`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketAccept {
    /// The subprotocol that the application selects from the client's offer (rule `WS-06`). Default
    /// none.
    pub subprotocol: Option<ByteString>,
    /// Additional header fields of the response to the handshake. Default empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::headers"))]
    pub headers: HeaderMap,
}

impl WebSocketAccept {
    /// Creates the event without a subprotocol and without additional header fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the subprotocol. The client must have offered this subprotocol.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<ByteString>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    header_methods!(event => event.headers);
}

/// Closes the WebSocket, or refuses the WebSocket before it is accepted: `websocket.close`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketClose {
    /// The close code, which must be a code that may be sent (rule `WS-11`). Default 1000.
    pub code: u16,
    /// The reason, for the client: at most 123 bytes. Default empty.
    pub reason: ByteString,
}

impl Default for WebSocketClose {
    fn default() -> Self {
        Self::new(1000)
    }
}

impl WebSocketClose {
    /// Creates the event with this code and without a reason.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: ByteString::new(),
        }
    }

    /// Sets the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<ByteString>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Returns whether a close frame may have this code (rule `WS-11`; RFC 6455, 7.4).
    #[must_use]
    pub const fn is_valid_code(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// The WebSocket has ended: `websocket.disconnect`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketDisconnect {
    /// The close code: 1005 if the client's close frame has no code, 1006 if the connection was
    /// lost. Default 1005.
    pub code: u16,
    /// The reason of the close. Empty if there is none.
    pub reason: ByteString,
}

impl Default for WebSocketDisconnect {
    fn default() -> Self {
        Self::new(1005)
    }
}

impl WebSocketDisconnect {
    /// Creates the event with this code and without a reason.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: ByteString::new(),
        }
    }

    /// Sets the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<ByteString>) -> Self {
        self.reason = reason.into();
        self
    }
}
