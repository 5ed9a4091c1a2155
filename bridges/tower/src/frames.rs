//! Messages of the protocol and of tungstenite.

use bytes::Bytes;
use callgate::{ByteString, Message, WebSocketClose, WebSocketDisconnect};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::{self};

/// None for what is no message: pings and pongs, which are answered by the codec.
pub(crate) fn to_message(frame: tungstenite::Message) -> Option<Message> {
    match frame {
        tungstenite::Message::Text(text) => {
            let text = ByteString::try_from(Bytes::from(text)).expect("checked when it was read");
            Some(Message::Text(text))
        }
        tungstenite::Message::Binary(octets) => Some(Message::Binary(octets)),
        _ => None,
    }
}

pub(crate) fn from_message(message: Message) -> tungstenite::Message {
    match message {
        Message::Text(text) => {
            let text = Utf8Bytes::try_from(text.into_bytes());
            tungstenite::Message::Text(text.expect("a `ByteString` is UTF-8"))
        }
        Message::Binary(octets) => tungstenite::Message::Binary(octets),
    }
}

/// A close without a code is one with 1000.
pub(crate) fn to_close(frame: Option<CloseFrame>) -> WebSocketClose {
    frame.map_or_else(WebSocketClose::default, |frame| {
        WebSocketClose::new(frame.code.into()).reason(frame.reason.as_str())
    })
}

pub(crate) fn from_close(close: WebSocketClose) -> tungstenite::Message {
    tungstenite::Message::Close(Some(CloseFrame {
        code: close.code.into(),
        reason: Utf8Bytes::from(String::from(close.reason)),
    }))
}

/// One with 1005 where there is no code.
pub(crate) fn to_disconnect(frame: Option<CloseFrame>) -> WebSocketDisconnect {
    frame.map_or_else(WebSocketDisconnect::default, |frame| {
        WebSocketDisconnect::new(frame.code.into()).reason(frame.reason.as_str())
    })
}

/// One without a code where nobody gave one.
pub(crate) fn from_disconnect(disconnect: &WebSocketDisconnect) -> tungstenite::Message {
    tungstenite::Message::Close((disconnect.code != 1005).then(|| CloseFrame {
        code: disconnect.code.into(),
        reason: Utf8Bytes::from(&*disconnect.reason),
    }))
}
