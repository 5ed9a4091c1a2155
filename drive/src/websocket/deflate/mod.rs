//! The extension permessage-deflate (RFC 7692).
//!
//! [`DeflateParameters::negotiate`] answers the offers of a client. The `Compressor` and the
//! `Inflater` turn the payloads of messages into their compressed form and back.

mod compressor;
mod inflater;
mod negotiation;

pub(super) use self::compressor::Compressor;
pub(super) use self::inflater::{InflateError, Inflater};
pub use self::negotiation::DeflateParameters;

/// Whether a server compresses WebSocket messages with the clients that can.
///
/// A *context* is the window of the last 32 KiB that a compressor refers to. A context that is kept
/// between messages makes small messages smaller, and takes memory while the WebSocket is idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PerMessageDeflate {
    /// Messages are not compressed.
    #[default]
    Off,
    /// Messages are compressed one by one. An idle WebSocket holds no memory for compression.
    On,
    /// Messages are compressed with a context that is kept between them, as far as the client
    /// agrees. Each WebSocket holds the memory of both directions until it ends.
    ContextTakeover,
}

/// The last octets of a sync flush. A message goes without these octets (RFC 7692, 7.2.1).
const FLUSH_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The window of a context that is not kept, as the exponent of its size in bytes.
const MAX_WINDOW_BITS: u8 = 15;
/// The smallest window of the library: zlib does not write raw deflate with a window of 256 bytes.
const MIN_WINDOW_BITS: u8 = 9;

#[cfg(all(test, not(callgate_loom)))]
mod tests;
