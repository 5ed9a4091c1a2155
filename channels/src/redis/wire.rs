//! Events as Redis has them.

use bytes::Bytes;
use bytestring::ByteString;

use crate::{GroupEvent, Member, MemberId, Message, Payload, Sequence};

/// An event of a stream, or of a channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) sequence: Sequence,
    /// The number of the event before, or zero for the first event of a stream.
    pub(super) previous: Sequence,
    /// The event, or `None` for a marker: what was before it in the stream is unknown.
    pub(super) event: Option<GroupEvent>,
}

/// Returns the kind and the bytes of a payload.
pub(super) fn encode(payload: &Payload) -> (char, &[u8]) {
    match payload {
        Payload::Text(text) => ('t', text.as_bytes()),
        Payload::Binary(bytes) => ('b', bytes),
    }
}

/// Returns the data of a member as the hash of members has it.
pub(super) fn encode_data(payload: &Payload) -> Vec<u8> {
    let (kind, body) = encode(payload);
    let mut data = vec![kind as u8];
    data.extend_from_slice(body);
    data
}

/// Reads a member from its ID and its data.
pub(super) fn decode_member(id: &[u8], data: &[u8]) -> Option<Member> {
    let (kind, body) = data.split_first()?;
    Some(Member {
        id: MemberId::new(std::str::from_utf8(id).ok()?),
        data: decode(*kind, Bytes::copy_from_slice(body))?,
    })
}

fn decode(kind: u8, body: Bytes) -> Option<Payload> {
    match kind {
        b't' => Some(Payload::Text(ByteString::try_from(body).ok()?)),
        b'b' => Some(Payload::Binary(body)),
        _ => None,
    }
}

impl Entry {
    /// Reads a message of a channel: number, previous number and kind, a line feed, the body.
    pub(super) fn from_channel(message: Vec<u8>) -> Option<Self> {
        let message = Bytes::from(message);
        let end = message.iter().position(|byte| *byte == b'\n')?;
        let head = std::str::from_utf8(&message[..end]).ok()?;
        let mut words = head.split(' ');
        let mut word = || words.next();
        let (sequence, previous, kind) = (word()?, word()?, word()?);
        Self::new(
            sequence.parse().ok()?,
            previous.parse().ok()?,
            kind.as_bytes(),
            message.slice(end + 1..),
        )
    }

    /// Reads an entry of a stream: its ID, and the fields that the script `append` writes.
    pub(super) fn from_stream(id: &str, fields: Vec<Vec<u8>>) -> Option<Self> {
        let (sequence, _) = id.split_once('-')?;
        let mut fields = fields.into_iter();
        let mut field = || fields.nth(1);
        let (previous, kind, _total, body) = (field()?, field()?, field()?, field()?);
        let previous = std::str::from_utf8(&previous).ok()?;
        Self::new(
            sequence.parse().ok()?,
            previous.parse().ok()?,
            &kind,
            body.into(),
        )
    }

    fn new(sequence: Sequence, previous: Sequence, kind: &[u8], body: Bytes) -> Option<Self> {
        let event = match kind {
            b"s" => None,
            b"j" => Some(GroupEvent::Join {
                sequence,
                member: member(&body)?,
            }),
            b"l" => Some(GroupEvent::Leave {
                sequence,
                member: member(&body)?,
            }),
            [kind] => Some(GroupEvent::Message(Message {
                sequence,
                payload: decode(*kind, body)?,
            })),
            _ => return None,
        };
        Some(Self {
            sequence,
            previous,
            event,
        })
    }
}

/// Reads a member from its ID, a line feed and its data.
fn member(body: &[u8]) -> Option<Member> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    decode_member(&body[..end], &body[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_event_is_none() {
        let none = [
            "",
            "1 0 t",
            "1\nx",
            "1 0\nx",
            "x 0 t\nx",
            "1 x t\nx",
            "1 0 \nx",
            "1 0 tt\nx",
            "1 0 z\nx",
            "1 0 j\nid",
            "1 0 j\nid\n",
            "1 0 l\nid\nzdata",
        ];
        for text in none {
            assert_eq!(Entry::from_channel(text.into()), None, "{text:?}");
        }
        assert_eq!(Entry::from_channel(b"1 0 t\n\xff".to_vec()), None);
        assert!(Entry::from_channel(b"1 0 b\n\xff\n".to_vec()).is_some());
        assert_eq!(Entry::from_stream("1-0", Vec::new()), None);
    }
}
