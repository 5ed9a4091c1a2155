//! The events of WebSockets.

use bytes::Bytes;
use bytestring::ByteString;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::http::append_header;

/// A WebSocket message, whole: what `websocket.receive` and `websocket.send` carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// The length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Open the WebSocket: `websocket.accept`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketAccept {
    /// One of those that the client offers, or none (rule `WS-06`).
    pub subprotocol: Option<ByteString>,
    /// Further header fields of the handshake's answer.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::headers"))]
    pub headers: HeaderMap,
}

impl WebSocketAccept {
    /// No subprotocol and no further headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this subprotocol, which the client must have offered.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<ByteString>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Adds a header field, as [`HttpResponseStart::header`](crate::HttpResponseStart::header).
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: std::fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: std::fmt::Debug,
    {
        append_header(&mut self.headers, name, value);
        self
    }
}

/// Close the WebSocket, or refuse it before it is accepted: `websocket.close`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketClose {
    /// A close code that may be sent (rule `WS-11`). Default 1000.
    pub code: u16,
    /// Why, for the client: at most 123 bytes. Default empty.
    pub reason: ByteString,
}

impl Default for WebSocketClose {
    fn default() -> Self {
        Self::new(1000)
    }
}

impl WebSocketClose {
    /// With this code and no reason.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: ByteString::new(),
        }
    }

    /// With this reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<ByteString>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// The WebSocket is over: `websocket.disconnect`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketDisconnect {
    /// The close code; 1005 when the client gave none, 1006 when it just went away.
    pub code: u16,
    /// Why, if it was said.
    pub reason: ByteString,
}

impl Default for WebSocketDisconnect {
    fn default() -> Self {
        Self::new(1005)
    }
}

impl WebSocketDisconnect {
    /// With this code and no reason.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: ByteString::new(),
        }
    }

    /// With this reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<ByteString>) -> Self {
        self.reason = reason.into();
        self
    }
}
