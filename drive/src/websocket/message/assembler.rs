//! A message whose octets are arriving.

use bytes::buf::Limit;
use bytes::{BufMut as _, Bytes};
use callgate::{ByteString, Message};

use super::error::MessageError;
use super::mask::apply_mask;
use super::utf8::{InvalidUtf8, Utf8Validator};
use crate::websocket::deflate::Inflater;

/// The first step in which the memory of a large message grows, in bytes. Further steps are as large
/// as what has arrived, so that the length in a header alone takes no memory.
const FIRST_STEP: usize = 64 * 1024;
/// The least room for a direct read, in bytes.
const MIN_ROOM: usize = 4096;

/// The rest of a message that has not arrived, as the header of its frame announces it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Following {
    /// The octets of the same frame that have not arrived.
    pub(super) in_frame: usize,
    /// Whether the frame is the last of the message.
    pub(super) is_final: bool,
}

/// The payload of a message, of which not all octets have arrived. Text is checked as it arrives,
/// and a compressed message is inflated as it arrives.
#[derive(Debug)]
pub(super) struct Assembler {
    payload: Vec<u8>,
    /// The frames that have ended.
    frames: usize,
    is_compressed: bool,
    /// `None` for a binary message.
    text: Option<Utf8Validator>,
}

impl Assembler {
    pub(super) fn new(is_text: bool, is_compressed: bool) -> Self {
        Self {
            payload: Vec::new(),
            frames: 0,
            is_compressed,
            text: is_text.then(Utf8Validator::default),
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// Counts a frame that has ended, and is not the last.
    pub(super) fn end_frame(&mut self) {
        self.frames += 1;
    }

    /// The number of frames that have ended.
    pub(super) fn frames(&self) -> usize {
        self.frames
    }

    /// The number of octets that have arrived, after inflation.
    pub(super) fn len(&self) -> usize {
        self.payload.len()
    }

    /// Adds unmasked octets.
    pub(super) fn push(&mut self, octets: &[u8], following: Following) -> Result<(), MessageError> {
        check(&mut self.text, octets)?;
        self.reserve(octets.len(), following);
        self.payload.extend_from_slice(octets);
        Ok(())
    }

    /// Inflates unmasked octets of a compressed message, which may have `limit` bytes.
    pub(super) fn inflate(
        &mut self,
        inflater: &mut Inflater,
        octets: &[u8],
        limit: usize,
    ) -> Result<(), MessageError> {
        let Self { payload, text, .. } = self;
        inflater.inflate(octets, payload, limit, |part| check(text, part))
    }

    /// Inflates the end of a compressed message.
    pub(super) fn finish_inflation(
        &mut self,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), MessageError> {
        let Self { payload, text, .. } = self;
        inflater.finish(payload, limit, |part| check(text, part))
    }

    /// Returns the place for the octets of a frame that have not arrived, or for the first of them.
    pub(super) fn buffer(&mut self, following: Following) -> Limit<&mut Vec<u8>> {
        let room = following.in_frame.min(MIN_ROOM);
        let rest = Following {
            in_frame: following.in_frame - room,
            ..following
        };
        self.reserve(room, rest);
        (&mut self.payload).limit(following.in_frame)
    }

    /// Unmasks and checks the last octets, which have been read into [`Self::buffer`].
    pub(super) fn filled(
        &mut self,
        count: usize,
        key: [u8; 4],
        offset: usize,
    ) -> Result<(), MessageError> {
        let start = self.payload.len() - count;
        let octets = &mut self.payload[start..];
        apply_mask(octets, key, offset);
        check(&mut self.text, octets)
    }

    /// Returns the message, all of whose octets have arrived.
    pub(super) fn finish(mut self) -> Result<Message, MessageError> {
        if let Some(validator) = &self.text {
            validator.finish()?;
        }
        self.payload.shrink_to_fit();
        message(self.text.is_some(), self.payload.into())
    }

    /// Makes room for octets that have arrived, and for some of those that follow.
    fn reserve(&mut self, arrived: usize, following: Following) {
        let length = self.payload.len();
        if self.payload.capacity() - length >= arrived {
            return;
        }
        let known = arrived.saturating_add(following.in_frame);
        let step = known.min(length.max(FIRST_STEP)).max(arrived);
        // The number of fragments is not known. Doubling keeps the number of steps small.
        let step = if following.is_final {
            step
        } else {
            step.max(length)
        };
        self.payload.reserve_exact(step);
    }
}

/// Checks the next octets of a text.
fn check(text: &mut Option<Utf8Validator>, octets: &[u8]) -> Result<(), MessageError> {
    match text {
        Some(validator) => Ok(validator.push(octets)?),
        None => Ok(()),
    }
}

/// Creates a message from its whole payload.
pub(super) fn message(is_text: bool, payload: Bytes) -> Result<Message, MessageError> {
    if !is_text {
        return Ok(Message::Binary(payload));
    }
    let text = ByteString::try_from(payload).map_err(|_| MessageError::NotUtf8)?;
    Ok(Message::Text(text))
}

impl From<InvalidUtf8> for MessageError {
    fn from(_: InvalidUtf8) -> Self {
        Self::NotUtf8
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    const NOTHING: Following = Following {
        in_frame: 0,
        is_final: false,
    };

    #[test]
    fn a_length_that_is_only_announced_takes_little_memory() {
        let following = Following {
            in_frame: 16 << 20,
            is_final: true,
        };
        let mut assembler = Assembler::new(false, false);
        assembler.push(b"x", following).unwrap();
        assert!(assembler.payload.capacity() <= FIRST_STEP);
        // The memory is at most twice what has arrived.
        assembler.payload.resize(1 << 20, 0);
        assembler.payload.shrink_to_fit();
        let _ = assembler.buffer(following);
        assert!(assembler.payload.capacity() <= 2 << 20);
    }

    #[test]
    fn a_message_has_no_more_memory_than_its_payload() {
        for length in [0, 1, 100, 70_000] {
            let mut assembler = Assembler::new(true, false);
            for _ in 0..length {
                assembler.push(b"x", NOTHING).unwrap();
            }
            let Message::Text(text) = assembler.finish().unwrap() else {
                panic!("it is a text");
            };
            let payload = Vec::from(text.into_bytes());
            assert_eq!((payload.len(), payload.capacity()), (length, length));
        }
    }

    #[test]
    fn the_memory_of_fragments_grows_in_few_steps() {
        let mut assembler = Assembler::new(false, false);
        let mut steps = 0;
        for _ in 0..1 << 20 {
            let before = assembler.payload.capacity();
            assembler.push(b"x", NOTHING).unwrap();
            steps += usize::from(assembler.payload.capacity() != before);
        }
        assert!(steps <= 21, "{steps}");
    }
}
