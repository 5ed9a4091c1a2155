//! The settings of WebSockets.

use std::num::NonZeroUsize;
use std::time::Duration;

use callgate_drive::websocket::PerMessageDeflate;

use super::kind::{Choice, One, Parsed};
use super::limits::COUNT_OR_NONE;
use super::setting::settings;
use super::values::{SECONDS_OR_NEVER, size};

settings! {
    /// WebSockets, over HTTP/1.1 and HTTP/2.
    websocket: WebSocket {
        /// The largest message to take, in its inflated form.
        ///
        /// A client that sends a larger message is closed with 1009.
        ws_max_size => max_size: (usize) = "16777216" as MESSAGE_SIZE;

        /// The largest number of frames of a message to take.
        ///
        /// A client that sends a message in more frames is closed with 1008. Without this limit, a message of
        /// empty frames would never end. Control frames are no part of a message.
        ws_max_frames => max_frames: (NonZeroUsize) = "16384" as COUNT;

        /// The largest number of messages that wait in each direction of a WebSocket.
        ///
        /// When so many messages of the client wait for the application, the server reads no more of them;
        /// when so many of the application wait for the client, its sends wait.
        ws_max_queue => max_queue: (NonZeroUsize) = "64" as COUNT;

        /// The largest number of WebSockets that are open at a time; `none` for no limit.
        ///
        /// A further handshake gets 503. A handshake takes its place before the application is called.
        max_websockets => max_open: (Option<NonZeroUsize>) = "none" as COUNT_OR_NONE;

        /// Compress messages with the clients that offer it (RFC 7692): off, on or context-takeover.
        ///
        /// With `on`, each message is compressed by itself, and an idle WebSocket holds no memory for
        /// compression. `context-takeover` compresses small messages better, and keeps 340 KiB for
        /// each WebSocket.
        ws_per_message_deflate => per_message_deflate: (PerMessageDeflate) = "on" as DEFLATE;

        /// Send a ping on a WebSocket that is silent for this long; `none` or 0 for never.
        ws_ping_interval => ping_interval: (Option<Duration>) = "20" as SECONDS_OR_NEVER;

        /// Close a WebSocket whose client was pinged and does nothing for this long; `none` or 0 for
        /// never.
        ///
        /// A client does something when it sends octets, or takes octets that wait for it (rule `WS-16`).
        ws_ping_timeout => ping_timeout: (Option<Duration>) = "20" as SECONDS_OR_NEVER;
    }
}

const COUNT: One<NonZeroUsize> = One::number("NUMBER", |text| {
    text.parse().map_err(|_| "give a number, 1 or more")
});

const MESSAGE_SIZE: One<usize> = One::number("BYTES", message_size);

// The last two words are uvicorn's.
const DEFLATE: Choice<PerMessageDeflate> = Choice {
    name: "MODE",
    words: &[
        ("off", PerMessageDeflate::Off),
        ("on", PerMessageDeflate::On),
        ("context-takeover", PerMessageDeflate::ContextTakeover),
        ("false", PerMessageDeflate::Off),
        ("true", PerMessageDeflate::On),
    ],
    remedy: "give off, on or context-takeover",
};

fn message_size(text: &str) -> Parsed<usize> {
    size(text)
        .filter(|bytes| *bytes >= 1)
        .ok_or("give a number of bytes, 1 or more, such as 65536 or 64KiB")
}
