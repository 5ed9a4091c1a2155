//! Frames that the connection has not taken.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use super::Role;

/// How much of a payload is copied behind its header, in bytes. The rest of a larger payload is
/// written from where it is.
const MAX_COPIED: usize = 4096;

/// The octets of frames, in the order in which they are sent. Holds no memory when it is empty.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Octets before those of `last`: headers with the payloads copied behind them, and payloads.
    parts: VecDeque<Bytes>,
    /// The last headers with the payloads copied behind them.
    last: BytesMut,
    /// The number of octets in `parts`.
    parts_length: usize,
}

impl Output {
    /// Adds a frame with the whole payload of a message, or a control frame.
    pub(super) fn push(
        &mut self,
        role: Role,
        opcode: OpCode,
        is_compressed: bool,
        mut payload: Bytes,
    ) {
        let header = FrameHeader {
            opcode,
            rsv1: is_compressed,
            mask: match role {
                Role::Server => None,
                Role::InProcessClient => Some([0; 4]),
            },
            ..FrameHeader::default()
        };
        let length = payload.len() as u64;
        let rest = payload.split_off(payload.len().min(MAX_COPIED));
        self.last.reserve(header.len(length) + payload.len());
        header
            .format(length, &mut (&mut self.last).writer())
            .expect("a buffer in memory takes all that is written");
        self.last.put(payload);
        if !rest.is_empty() {
            self.parts_length += self.last.len() + rest.len();
            self.parts.push_back(self.last.split().freeze());
            self.parts.push_back(rest);
        }
    }

    /// Returns all octets, if they are in one place.
    pub(super) fn as_single(&self) -> Option<&[u8]> {
        self.parts.is_empty().then_some(&*self.last)
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.parts_length + self.last.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.parts.front() {
            Some(part) => part,
            None => &self.last,
        }
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.parts.front_mut() {
            let taken = count.min(part.len());
            part.advance(taken);
            self.parts_length -= taken;
            count -= taken;
            if part.has_remaining() {
                return;
            }
            self.parts.pop_front();
        }
        self.last.advance(count);
        if !self.has_remaining() {
            *self = Self::default();
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.parts.iter().map(|part| &**part);
        let chunks = chunks.chain([&*self.last]).filter(|part| !part.is_empty());
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        count
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use tungstenite::protocol::frame::coding::Data;

    use super::*;

    const BINARY: OpCode = OpCode::Data(Data::Binary);

    /// Takes all octets, `step` at a time.
    fn drain(output: &mut Output, step: usize) -> Vec<u8> {
        let mut octets = Vec::new();
        while output.has_remaining() {
            let chunk = output.chunk();
            let taken = chunk.len().min(step);
            octets.extend_from_slice(&chunk[..taken]);
            output.advance(taken);
        }
        octets
    }

    fn filled(lengths: &[usize]) -> (Output, Vec<u8>) {
        let mut output = Output::default();
        let mut expected = Vec::new();
        for &length in lengths {
            let payload = vec![length.to_le_bytes()[0]; length];
            output.push(Role::Server, BINARY, false, payload.clone().into());
            expected.push(0x82);
            match length {
                0..126 => expected.push(length.to_le_bytes()[0]),
                126..65536 => {
                    expected.push(126);
                    expected.put_u16(length.try_into().unwrap());
                }
                _ => {
                    expected.push(127);
                    expected.put_u64(length as u64);
                }
            }
            expected.extend(payload);
        }
        (output, expected)
    }

    #[test]
    fn frames_are_sent_in_order_with_lengths_in_their_shortest_form() {
        // RFC 6455, 5.2.
        const LENGTHS: &[usize] = &[0, 125, 126, 5000, 1, 65535, 65536, 2];
        for step in [1, 7, 4096, usize::MAX] {
            let (mut output, expected) = filled(LENGTHS);
            assert_eq!(output.remaining(), expected.len());
            assert_eq!(drain(&mut output, step), expected);
        }
        let (output, expected) = filled(LENGTHS);
        let mut slices = [IoSlice::new(&[]); 16];
        let count = output.chunks_vectored(&mut slices);
        let octets: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        assert_eq!(octets, expected);
    }

    #[test]
    fn the_rest_of_a_large_payload_is_not_copied() {
        let payload = Bytes::from(vec![7; MAX_COPIED + 1]);
        let address = payload[MAX_COPIED..].as_ptr();
        let mut output = Output::default();
        output.push(Role::Server, BINARY, false, payload);
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(output.chunks_vectored(&mut slices), 2);
        assert_eq!(slices[1].as_ptr(), address);
    }

    #[test]
    fn empty_output_holds_no_memory() {
        let (mut output, _) = filled(&[1, 5000, 2]);
        drain(&mut output, 3);
        assert_eq!(output.last.capacity(), 0);
        assert_eq!(output.parts.capacity(), 0);
    }

    #[test]
    fn the_frames_of_a_client_are_masked() {
        let mut output = Output::default();
        output.push(
            Role::InProcessClient,
            BINARY,
            false,
            Bytes::from_static(b"ab"),
        );
        assert_eq!(drain(&mut output, 1), b"\x82\x82\0\0\0\0ab");
    }
}
