//! The messages of clients.

use callgate::{ByteString, Message, WebSocketClose};

/// The largest message, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Returns the text of a message, or the close frame for a message that is not accepted.
pub(super) fn read(message: Message) -> Result<ByteString, WebSocketClose> {
    match message {
        Message::Text(text) if text.len() <= MAX_MESSAGE => Ok(text),
        Message::Text(_) => {
            let reason = format!("a message has at most {MAX_MESSAGE} bytes");
            Err(WebSocketClose::new(1009).reason(reason))
        }
        Message::Binary(_) => Err(WebSocketClose::new(1003).reason("a message is a text here")),
    }
}
