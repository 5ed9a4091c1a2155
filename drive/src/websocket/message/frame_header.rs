//! Headers of frames (RFC 6455, 5.2).

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::Role;
use super::error::FramingError;

/// The longest header, in octets.
pub(super) const MAX_HEADER: usize = 14;
/// The largest payload of a control frame, in octets (5.5).
const MAX_CONTROL: u64 = 125;

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
}

/// A header that keeps the rules which do not depend on the frames before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FrameKind,
    /// Whether the first reserved bit is set: the frame begins a compressed message (RFC 7692, 6).
    pub(super) is_compressed: bool,
    pub(super) is_final: bool,
    pub(super) key: [u8; 4],
    pub(super) length: u64,
}

/// Reads a header of the peer of `role`, and returns its size as well. Returns `None` while the
/// header is incomplete. `may_be_compressed` is whether permessage-deflate was agreed to.
pub(super) fn parse(
    role: Role,
    may_be_compressed: bool,
    octets: &[u8],
) -> Result<Option<(Header, usize)>, FramingError> {
    let mut cursor = Cursor::new(octets);
    let (header, length) = match FrameHeader::parse(&mut cursor) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Ok(None),
        Err(_) => return Err(FramingError::ReservedOpcode),
    };
    let kind = match header.opcode {
        OpCode::Data(Data::Text) => FrameKind::Text,
        OpCode::Data(Data::Binary) => FrameKind::Binary,
        OpCode::Data(Data::Continue) => FrameKind::Continuation,
        OpCode::Control(Control::Close) => FrameKind::Close,
        OpCode::Control(Control::Ping) => FrameKind::Ping,
        OpCode::Control(Control::Pong) => FrameKind::Pong,
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            return Err(FramingError::ReservedOpcode);
        }
    };
    let begins_message = matches!(kind, FrameKind::Text | FrameKind::Binary);
    if header.rsv2 || header.rsv3 || header.rsv1 && !(may_be_compressed && begins_message) {
        return Err(FramingError::ReservedBit);
    }
    if kind.is_control() {
        if !header.is_final {
            return Err(FramingError::ControlFragmented);
        }
        if length > MAX_CONTROL {
            return Err(FramingError::ControlTooLong);
        }
    }
    match (role, header.mask) {
        (Role::Server, None) => return Err(FramingError::NotMasked),
        (Role::InProcessClient, Some(_)) => return Err(FramingError::Masked),
        _ => {}
    }
    if i64::try_from(length).is_err() {
        return Err(FramingError::LengthOutOfRange);
    }
    let size = usize::try_from(cursor.position()).unwrap_or(MAX_HEADER);
    if size != header.len(length) {
        return Err(FramingError::LengthNotShortest);
    }
    let header = Header {
        kind,
        is_compressed: header.rsv1,
        is_final: header.is_final,
        key: header.mask.unwrap_or_default(),
        length,
    };
    Ok(Some((header, size)))
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    fn parsed(octets: &[u8]) -> Result<Header, FramingError> {
        let (header, size) = parse(Role::Server, false, octets)?.expect("the header is complete");
        assert_eq!(size, octets.len());
        for end in 0..size {
            assert_eq!(parse(Role::Server, false, &octets[..end]), Ok(None));
        }
        Ok(header)
    }

    /// Returns the header of a client's frame, whose masking key is zero.
    fn masked(first: u8, length: &[u8]) -> Vec<u8> {
        let mut octets = vec![first];
        octets.extend_from_slice(length);
        octets[1] |= 0x80;
        octets.extend_from_slice(&[0; 4]);
        octets
    }

    #[test]
    fn lengths_are_taken_in_their_shortest_form_only() {
        // RFC 6455, 5.2: "the minimal number of bytes MUST be used to encode the length".
        for (length, octets) in [
            (0, &[0][..]),
            (125, &[125]),
            (126, &[126, 0, 126]),
            (65535, &[126, 0xff, 0xff]),
            (65536, &[127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (
                i64::MAX as u64,
                &[127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ),
        ] {
            assert_eq!(parsed(&masked(0x82, octets)).unwrap().length, length);
        }
        for octets in [
            &[126, 0, 0][..],
            &[126, 0, 125],
            &[127, 0, 0, 0, 0, 0, 0, 0, 1],
            &[127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ] {
            assert_eq!(
                parsed(&masked(0x82, octets)),
                Err(FramingError::LengthNotShortest),
                "{octets:?}"
            );
        }
    }

    #[test]
    fn the_most_significant_bit_of_a_length_is_0() {
        // RFC 6455, 5.2: "the most significant bit MUST be 0".
        for octets in [
            [127, 0x80, 0, 0, 0, 0, 0, 0, 0],
            [127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(
                parsed(&masked(0x82, &octets)),
                Err(FramingError::LengthOutOfRange)
            );
        }
    }

    #[test]
    fn reserved_bits_and_opcodes_are_refused() {
        // RFC 6455, 5.2.
        for bits in [0x40, 0x20, 0x10, 0x70] {
            for opcode in [0, 1, 2, 8, 9, 10] {
                assert_eq!(
                    parsed(&masked(0x80 | bits | opcode, &[0])),
                    Err(FramingError::ReservedBit)
                );
            }
        }
        for opcode in (3..=7).chain(11..=15) {
            assert_eq!(
                parsed(&masked(0x80 | opcode, &[0])),
                Err(FramingError::ReservedOpcode)
            );
        }
    }

    #[test]
    fn the_first_reserved_bit_marks_a_compressed_message() {
        // RFC 7692, 6.1: on the first frame of a message only.
        let parse = |first| Ok(parse(Role::Server, true, &masked(first, &[0]))?.unwrap().0);
        for opcode in [1, 2, 0x81, 0x82] {
            assert_eq!(parse(opcode).map(|header| header.is_compressed), Ok(false));
            let header = parse(0x40 | opcode).map(|header| header.is_compressed);
            assert_eq!(header, Ok(true));
            for bits in [0x20, 0x10, 0x60, 0x50] {
                assert_eq!(parse(bits | opcode), Err(FramingError::ReservedBit));
            }
        }
        for opcode in [0, 0x80, 0x88, 0x89, 0x8a] {
            assert_eq!(parse(0x40 | opcode), Err(FramingError::ReservedBit));
        }
    }

    #[test]
    fn control_frames_are_short_and_whole() {
        // RFC 6455, 5.5.
        for opcode in [8, 9, 10] {
            assert!(parsed(&masked(0x80 | opcode, &[125])).is_ok());
            assert_eq!(
                parsed(&masked(0x80 | opcode, &[126, 0, 126])),
                Err(FramingError::ControlTooLong)
            );
            assert_eq!(
                parsed(&masked(opcode, &[0])),
                Err(FramingError::ControlFragmented)
            );
        }
    }

    #[test]
    fn a_client_masks_and_a_server_does_not() {
        // RFC 6455, 5.1.
        assert_eq!(
            parse(Role::Server, false, &[0x81, 0]),
            Err(FramingError::NotMasked)
        );
        assert_eq!(
            parse(Role::InProcessClient, false, &[0x81, 0x80, 0, 0, 0, 0]),
            Err(FramingError::Masked)
        );
        assert!(
            parse(Role::InProcessClient, false, &[0x81, 0])
                .unwrap()
                .is_some()
        );
        let masked = parsed(&[0x81, 0x80, 1, 2, 3, 4]).unwrap();
        assert_eq!(masked.key, [1, 2, 3, 4]);
    }
}
