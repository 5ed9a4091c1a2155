//! The faults of a peer, each with its close code.

use std::fmt;

use crate::websocket::deflate::InflateError;

/// Why a read has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The peer has broken the protocol or a limit. The connection still carries a close frame.
    Invalid(MessageError),
    /// The connection has ended or failed without a close frame.
    ConnectionLost,
}

/// Why the octets of the peer are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The peer has broken the framing.
    Framing(FramingError),
    /// The payload of a text message or the reason of a close frame is not UTF-8 (RFC 6455, 8.1).
    NotUtf8,
    /// A compressed message cannot be inflated (RFC 7692, 7.2.2).
    NotDeflated,
    /// A message is larger than the limit, in the inflated form if it is compressed.
    TooLarge,
    /// A message has more frames than the limit.
    TooManyFrames,
}

/// A violation of the framing of RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramingError {
    /// A reserved bit is set, and no extension that was agreed to gives the bit a meaning in this
    /// frame (5.2; RFC 7692, 6).
    ReservedBit,
    /// A frame has a reserved opcode (5.2).
    ReservedOpcode,
    /// A frame of a client is not masked (5.1).
    NotMasked,
    /// A frame of a server is masked (5.1).
    Masked,
    /// A length is not in its shortest form (5.2).
    LengthNotShortest,
    /// The most significant bit of a length of 64 bits is set (5.2).
    LengthOutOfRange,
    /// A control frame is a fragment (5.5).
    ControlFragmented,
    /// A control frame has a payload of more than 125 octets (5.5).
    ControlTooLong,
    /// A continuation frame comes without a message that it continues (5.4).
    NothingToContinue,
    /// A message begins before the fragmented message in progress has ended (5.4).
    MessageInterleaved,
    /// A close frame has a payload of one octet (5.5.1).
    CloseOfOneOctet,
    /// A close frame has a code that must not be sent (7.4).
    CloseCode,
}

impl MessageError {
    /// Returns the code of the close frame that answers the error (RFC 6455, 7.4.1).
    ///
    /// Too many frames violate a policy (1008): the message may be small, so "too big" (1009) would have the
    /// peer send less, and not in fewer frames.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Framing(_) => 1002,
            Self::NotUtf8 | Self::NotDeflated => 1007,
            Self::TooManyFrames => 1008,
            Self::TooLarge => 1009,
        }
    }
}

impl From<InflateError> for MessageError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Invalid => Self::NotDeflated,
            InflateError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<FramingError> for MessageError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Framing(error) => return error.fmt(f),
            Self::NotUtf8 => "a text is not UTF-8",
            Self::NotDeflated => "a compressed message cannot be inflated",
            Self::TooLarge => "a message is larger than the limit",
            Self::TooManyFrames => "a message has more frames than the limit",
        })
    }
}

impl std::error::Error for MessageError {}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBit => "a reserved bit is set",
            Self::ReservedOpcode => "a frame has a reserved opcode",
            Self::NotMasked => "a frame of the client is not masked",
            Self::Masked => "a frame of the server is masked",
            Self::LengthNotShortest => "a length is not in its shortest form",
            Self::LengthOutOfRange => "a length has its most significant bit set",
            Self::ControlFragmented => "a control frame is a fragment",
            Self::ControlTooLong => "a control frame has more than 125 octets",
            Self::NothingToContinue => "a continuation frame continues no message",
            Self::MessageInterleaved => "a message begins within a fragmented message",
            Self::CloseOfOneOctet => "a close frame has a payload of one octet",
            Self::CloseCode => "a close frame has a code that must not be sent",
        })
    }
}

impl std::error::Error for FramingError {}
