//! Conversion between the messages of the protocol and those of tungstenite.

use bytes::Bytes;
use callgate::{ByteString, Message, WebSocketClose, WebSocketDisconnect};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;

/// The size of the read buffer of a WebSocket, in bytes. The buffer is most of the memory of an
/// idle WebSocket.
pub const READ_BUFFER: usize = 4096;

/// Converts a text or binary message. Returns `None` for pings, pongs and closes.
///
/// # Panics
///
/// Never: tungstenite has checked that a text is UTF-8.
#[must_use]
pub fn to_message(message: tungstenite::Message) -> Option<Message> {
    match message {
        tungstenite::Message::Text(text) => {
            let text = ByteString::try_from(Bytes::from(text)).expect("checked when it was read");
            Some(Message::Text(text))
        }
        tungstenite::Message::Binary(octets) => Some(Message::Binary(octets)),
        _ => None,
    }
}

/// Converts a message to be sent.
///
/// # Panics
///
/// Never: a [`ByteString`] is UTF-8.
#[must_use]
pub fn from_message(message: Message) -> tungstenite::Message {
    match message {
        Message::Text(text) => {
            let text = Utf8Bytes::try_from(text.into_bytes());
            tungstenite::Message::Text(text.expect("a `ByteString` is UTF-8"))
        }
        Message::Binary(octets) => tungstenite::Message::Binary(octets),
    }
}

/// Converts a close frame to a close of the application. The code is 1000 where the frame has none.
#[must_use]
pub fn to_close(frame: Option<CloseFrame>) -> WebSocketClose {
    frame.map_or_else(WebSocketClose::default, |frame| {
        WebSocketClose::new(frame.code.into()).reason(frame.reason.as_str())
    })
}

/// Converts a close to be sent.
#[must_use]
pub fn from_close(close: WebSocketClose) -> tungstenite::Message {
    tungstenite::Message::Close(Some(CloseFrame {
        code: close.code.into(),
        reason: Utf8Bytes::from(String::from(close.reason)),
    }))
}

/// Converts a client's close frame to a disconnect. The code is 1005 where the frame has none (rule
/// `WS-20`).
#[must_use]
pub fn to_disconnect(frame: Option<CloseFrame>) -> WebSocketDisconnect {
    frame.map_or_else(WebSocketDisconnect::default, |frame| {
        WebSocketDisconnect::new(frame.code.into()).reason(frame.reason.as_str())
    })
}

/// Converts a disconnect to a close frame. The frame has no code where the disconnect has 1005,
/// which is never sent.
#[must_use]
pub fn from_disconnect(disconnect: &WebSocketDisconnect) -> tungstenite::Message {
    tungstenite::Message::Close((disconnect.code != 1005).then(|| CloseFrame {
        code: disconnect.code.into(),
        reason: Utf8Bytes::from(&*disconnect.reason),
    }))
}
