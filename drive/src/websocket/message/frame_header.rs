//! Headers of frames (RFC 6455, 5.2).

use super::Role;
use super::error::{FramingError, MessageError};

/// The longest header, in octets.
pub(super) const MAX_HEADER: usize = 14;
/// The largest payload of a control frame, in octets (5.5).
const MAX_CONTROL: u8 = 125;

const FIN: u8 = 0x80;
const FIRST_RESERVED_BIT: u8 = 0x40;
const OTHER_RESERVED_BITS: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;

/// The payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Text,
    Binary,
    Continuation,
    Close,
    Ping,
    Pong,
}

impl FrameKind {
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn of(opcode: u8) -> Option<Self> {
        Some(match opcode {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// A valid header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FrameKind,
    /// Whether the first reserved bit is set: the frame begins a compressed message (RFC 7692, 6).
    pub(super) is_compressed: bool,
    pub(super) is_final: bool,
    pub(super) key: [u8; 4],
    /// The size of the payload, in octets.
    pub(super) length: usize,
}

/// The message whose frames are arriving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incomplete {
    pub(super) is_compressed: bool,
    /// The octets that have arrived, after inflation.
    pub(super) length: usize,
    /// The frames that have ended.
    pub(super) frames: usize,
}

/// What decides whether the next header is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderContext {
    pub(super) role: Role,
    /// Whether permessage-deflate was agreed to.
    pub(super) has_deflate: bool,
    /// The limit of a message, in its inflated form.
    pub(super) max_message_size: usize,
    /// The limit of the frames of a message.
    pub(super) max_message_frames: usize,
    /// `None` between messages.
    pub(super) message: Option<Incomplete>,
}

impl HeaderContext {
    /// Reads a header, and returns its size as well. Returns `None` while the header is incomplete.
    ///
    /// # Errors
    ///
    /// Returns the fault of the header as soon as the octets that show it have arrived.
    pub(super) fn parse(&self, octets: &[u8]) -> Result<Option<(Header, usize)>, MessageError> {
        let Some(&first) = octets.first() else {
            return Ok(None);
        };
        let kind = self.parse_first(first)?;
        self.check_frames(kind)?;
        let is_compressed = first & FIRST_RESERVED_BIT != 0;
        let Some(&second) = octets.get(1) else {
            return Ok(None);
        };
        let key_size = self.parse_mask(second)?;
        let short = second & !MASK;
        if kind.is_control() && short > MAX_CONTROL {
            return Err(FramingError::ControlTooLong.into());
        }
        let rest = &octets[2..];
        let (size, least) = match short {
            126 => (2, least_length::<2>(rest, 126)?),
            127 => (8, least_length::<8>(rest, 65536)?),
            _ => (0, u64::from(short)),
        };
        if least > self.max_length(kind, is_compressed) {
            return Err(MessageError::TooLarge);
        }
        let Some(key) = rest.get(size..size + key_size) else {
            return Ok(None);
        };
        let header = Header {
            kind,
            is_compressed,
            is_final: first & FIN != 0,
            key: key.try_into().unwrap_or_default(),
            length: usize::try_from(least).map_err(|_| MessageError::TooLarge)?,
        };
        Ok(Some((header, 2 + size + key_size)))
    }

    fn parse_first(&self, first: u8) -> Result<FrameKind, FramingError> {
        let kind = FrameKind::of(first & OPCODE).ok_or(FramingError::ReservedOpcode)?;
        let begins_message = matches!(kind, FrameKind::Text | FrameKind::Binary);
        let may_be_compressed = self.has_deflate && begins_message;
        if first & OTHER_RESERVED_BITS != 0 || first & FIRST_RESERVED_BIT != 0 && !may_be_compressed
        {
            return Err(FramingError::ReservedBit);
        }
        match (kind, self.message) {
            (FrameKind::Continuation, None) => Err(FramingError::NothingToContinue),
            (FrameKind::Text | FrameKind::Binary, Some(_)) => Err(FramingError::MessageInterleaved),
            _ if kind.is_control() && first & FIN == 0 => Err(FramingError::ControlFragmented),
            _ => Ok(kind),
        }
    }

    /// Checks that a message is allowed another frame. Control frames between those of a message do not count.
    fn check_frames(&self, kind: FrameKind) -> Result<(), MessageError> {
        let before = match kind {
            FrameKind::Continuation => self.message.map_or(0, |message| message.frames),
            _ => 0,
        };
        match before >= self.max_message_frames {
            true => Err(MessageError::TooManyFrames),
            false => Ok(()),
        }
    }

    /// Returns the size of the masking key.
    fn parse_mask(&self, second: u8) -> Result<usize, FramingError> {
        match (self.role, second & MASK != 0) {
            (Role::Server, true) => Ok(4),
            (Role::Server, false) => Err(FramingError::NotMasked),
            (Role::InProcessClient, false) => Ok(0),
            (Role::InProcessClient, true) => Err(FramingError::Masked),
        }
    }

    /// Returns the largest payload of a frame. The inflater limits a compressed message, whose frames
    /// have no limit here.
    fn max_length(&self, kind: FrameKind, is_compressed: bool) -> u64 {
        let message = match kind {
            FrameKind::Continuation => self.message,
            FrameKind::Text | FrameKind::Binary => Some(Incomplete {
                is_compressed,
                length: 0,
                frames: 0,
            }),
            _ => None,
        };
        match message {
            Some(message) if !message.is_compressed => {
                self.max_message_size.saturating_sub(message.length) as u64
            }
            _ => u64::MAX,
        }
    }
}

/// Returns the least length that a field of `N` octets may have after those that have arrived: the
/// length, if all have. A shorter field has the lengths below `shortest`.
fn least_length<const N: usize>(octets: &[u8], shortest: u64) -> Result<u64, FramingError> {
    let arrived = &octets[..octets.len().min(N)];
    let length_with = |missing: u8| {
        let mut length = [0; 8];
        let field = &mut length[8 - N..];
        field.fill(missing);
        field[..arrived.len()].copy_from_slice(arrived);
        u64::from_be_bytes(length)
    };
    let least = length_with(0);
    if i64::try_from(least).is_err() {
        return Err(FramingError::LengthOutOfRange);
    }
    if length_with(0xff) < shortest {
        return Err(FramingError::LengthNotShortest);
    }
    Ok(least)
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    const CONTEXT: HeaderContext = HeaderContext {
        role: Role::Server,
        has_deflate: false,
        max_message_size: usize::MAX,
        max_message_frames: usize::MAX,
        message: None,
    };
    const WITHIN_MESSAGE: HeaderContext = HeaderContext {
        message: Some(Incomplete {
            is_compressed: false,
            length: 100,
            frames: 1,
        }),
        max_message_size: 70_000,
        ..CONTEXT
    };
    const COMPRESSED: HeaderContext = HeaderContext {
        has_deflate: true,
        ..CONTEXT
    };
    const CLIENT: HeaderContext = HeaderContext {
        role: Role::InProcessClient,
        ..CONTEXT
    };

    /// Parses a valid header, which is incomplete without any of its octets.
    fn parsed(context: HeaderContext, octets: &[u8]) -> Header {
        for end in 0..octets.len() {
            assert_eq!(context.parse(&octets[..end]), Ok(None), "{octets:x?}");
        }
        let (header, size) = context.parse(octets).unwrap().unwrap();
        assert_eq!(size, octets.len());
        header
    }

    /// Checks that the last of these octets shows the fault, and that no octet after it changes the
    /// error.
    fn expect_error(context: HeaderContext, octets: &[u8], error: impl Into<MessageError>) {
        let error = error.into();
        for end in 0..octets.len() {
            assert_eq!(context.parse(&octets[..end]), Ok(None), "{octets:x?}");
        }
        for next in [0, 0x7f, 0xff] {
            let mut octets = octets.to_vec();
            while octets.len() <= MAX_HEADER {
                assert_eq!(context.parse(&octets), Err(error), "{octets:x?}");
                octets.push(next);
            }
        }
    }

    #[test]
    fn lengths_are_taken_in_their_shortest_form_only() {
        // RFC 6455, 5.2: "the minimal number of bytes MUST be used to encode the length".
        for (length, octets) in [
            (0, &[0x80][..]),
            (125, &[0x80 | 125]),
            (126, &[0x80 | 126, 0, 126]),
            (65535, &[0x80 | 126, 0xff, 0xff]),
            (65536, &[0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (
                i64::MAX as usize,
                &[0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ),
        ] {
            let octets = [&[0x82], octets, &[0; 4]].concat();
            assert_eq!(parsed(CONTEXT, &octets).length, length);
        }
        for octets in [
            &[0x82, 0x80 | 126, 0, 0][..],
            &[0x82, 0x80 | 126, 0, 125],
            &[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0],
        ] {
            expect_error(CONTEXT, octets, FramingError::LengthNotShortest);
        }
    }

    #[test]
    fn the_most_significant_bit_of_a_length_is_0() {
        // RFC 6455, 5.2: "the most significant bit MUST be 0".
        for octet in [0x80, 0xff] {
            let octets = [0x82, 0x80 | 127, octet];
            expect_error(CONTEXT, &octets, FramingError::LengthOutOfRange);
        }
    }

    #[test]
    fn a_length_is_limited_as_soon_as_its_octets_show_it() {
        let limited = |max_message_size| HeaderContext {
            max_message_size,
            ..CONTEXT
        };
        let too_large = |context, octets: &[u8]| {
            expect_error(context, octets, MessageError::TooLarge);
        };
        too_large(limited(10), &[0x82, 0x80 | 11]);
        too_large(limited(255), &[0x82, 0x80 | 126, 1]);
        too_large(limited(256), &[0x82, 0x80 | 126, 1, 1]);
        too_large(limited(1 << 20), &[0x82, 0x80 | 127, 0, 0, 0, 1]);
        // A continuation counts with the octets before it: 69,900 are left.
        let octets = [0x80, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0x11];
        too_large(WITHIN_MESSAGE, &[&octets[..], &[0x0d]].concat());
        let octets = [&octets[..], &[0x0c, 0, 0, 0, 0]].concat();
        assert_eq!(parsed(WITHIN_MESSAGE, &octets).length, 69_900);
        // What a control frame has is no part of the message.
        let octets = [0x89, 0x80 | 125, 0, 0, 0, 0];
        assert_eq!(parsed(limited(10), &octets).length, 125);
        // The inflater limits a compressed message.
        let compressed = HeaderContext {
            has_deflate: true,
            ..limited(10)
        };
        let octets = [0xc2, 0x80 | 125, 0, 0, 0, 0];
        assert_eq!(parsed(compressed, &octets).length, 125);
    }

    #[test]
    fn the_first_octet_shows_a_reserved_bit_or_opcode() {
        // RFC 6455, 5.2.
        for bits in [0x40, 0x20, 0x10, 0x70] {
            for opcode in [1, 2, 8, 9, 10] {
                let octets = [0x80 | bits | opcode];
                expect_error(CONTEXT, &octets, FramingError::ReservedBit);
            }
            expect_error(WITHIN_MESSAGE, &[0x80 | bits], FramingError::ReservedBit);
        }
        for opcode in (3..=7).chain(11..=15) {
            for first in [opcode, 0x80 | opcode] {
                expect_error(CONTEXT, &[first], FramingError::ReservedOpcode);
            }
        }
    }

    #[test]
    fn the_first_reserved_bit_marks_a_compressed_message() {
        // RFC 7692, 6.1: on the first frame of a message only.
        for opcode in [1, 2, 0x81, 0x82] {
            let octets = |first| [first, 0x80, 0, 0, 0, 0];
            assert!(!parsed(COMPRESSED, &octets(opcode)).is_compressed);
            assert!(parsed(COMPRESSED, &octets(0x40 | opcode)).is_compressed);
            for bits in [0x20, 0x10, 0x60, 0x50] {
                expect_error(COMPRESSED, &[bits | opcode], FramingError::ReservedBit);
            }
        }
        for opcode in [0, 0x80, 0x88, 0x89, 0x8a] {
            expect_error(COMPRESSED, &[0x40 | opcode], FramingError::ReservedBit);
        }
    }

    #[test]
    fn the_first_octet_shows_a_frame_out_of_turn() {
        // RFC 6455, 5.4.
        for first in [0, 0x80] {
            expect_error(CONTEXT, &[first], FramingError::NothingToContinue);
        }
        for first in [1, 2, 0x81, 0x82] {
            expect_error(WITHIN_MESSAGE, &[first], FramingError::MessageInterleaved);
        }
        for first in [0, 0x80, 0x88, 0x89, 0x8a] {
            parsed(WITHIN_MESSAGE, &[first, 0x80, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn control_frames_are_short_and_whole() {
        // RFC 6455, 5.5.
        for opcode in [8, 9, 10] {
            parsed(CONTEXT, &[0x80 | opcode, 0x80 | 125, 0, 0, 0, 0]);
            for length in [126, 127] {
                let octets = [0x80 | opcode, 0x80 | length];
                expect_error(CONTEXT, &octets, FramingError::ControlTooLong);
            }
            expect_error(CONTEXT, &[opcode], FramingError::ControlFragmented);
        }
    }

    #[test]
    fn a_client_masks_and_a_server_does_not() {
        // RFC 6455, 5.1.
        for length in [0, 126, 127] {
            expect_error(CONTEXT, &[0x81, length], FramingError::NotMasked);
            expect_error(CLIENT, &[0x81, 0x80 | length], FramingError::Masked);
        }
        assert_eq!(parsed(CLIENT, &[0x81, 0]).key, [0; 4]);
        let masked = parsed(CONTEXT, &[0x81, 0x80, 1, 2, 3, 4]);
        assert_eq!(masked.key, [1, 2, 3, 4]);
    }
}
