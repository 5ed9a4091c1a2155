//! What one WebSocket of a group receives, and whether something is missing.

use std::io;
use std::time::Duration;

use crate::client::unexpected;

/// The most WebSockets that publish.
pub(super) const PUBLISHERS: usize = 16;

/// A message of a broadcast: its number among those of its publisher, the time of its publication and the publisher,
/// in hexadecimal digits, and what is needed to make it as long as all messages.
pub(super) fn text(message: Received, size: usize) -> Vec<u8> {
    let Received {
        number,
        published,
        publisher,
    } = message;
    let published = u64::try_from(published.as_nanos()).unwrap_or(u64::MAX);
    let mut text = format!("{number:016x}{published:016x}{publisher:02x}").into_bytes();
    text.resize(size.max(text.len()), b'x');
    text
}

/// What an application sends in the place of messages that are missing.
const MISSED: &[u8] = b"missed";

/// A message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) number: u64,
    pub(super) published: Duration,
    pub(super) publisher: usize,
}

/// The messages of one WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// The number of the next message of each publisher.
    next: [u64; PUBLISHERS],
    /// Whether the application has said since the last message of each publisher that messages are missing.
    is_told: [bool; PUBLISHERS],
    pub(super) received: u64,
    /// The messages that are missing, without a word of the application.
    pub(super) lost: u64,
    /// The messages that are missing, as the application has said.
    pub(super) told: u64,
}

impl Member {
    /// Takes a text of the application, which is a message or the notice that messages are missing.
    ///
    /// # Errors
    ///
    /// Returns an error for a message that came twice, or too late, and for any other text.
    pub(super) fn receive(&mut self, text: &[u8]) -> io::Result<Option<Received>> {
        if text == MISSED {
            self.is_told = [true; PUBLISHERS];
            return Ok(None);
        }
        let received = parse(text).ok_or_else(|| unexpected("not a message", text))?;
        let next = &mut self.next[received.publisher];
        let missing = received
            .number
            .checked_sub(*next)
            .ok_or_else(|| unexpected("a message came twice or too late", text))?;
        *next = received.number + 1;
        if std::mem::take(&mut self.is_told[received.publisher]) {
            self.told += missing;
        } else {
            self.lost += missing;
        }
        self.received += 1;
        Ok(Some(received))
    }

    /// Counts the messages of the first publisher before this number that have not arrived.
    pub(super) fn end(&mut self, sent: u64) {
        self.lost += sent.saturating_sub(self.next[0]);
        self.next[0] = self.next[0].max(sent);
    }
}

fn parse(text: &[u8]) -> Option<Received> {
    let number = |digits: &[u8]| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let publisher = usize::try_from(number(text.get(32..34)?)?).ok()?;
    (publisher < PUBLISHERS).then_some(Received {
        number: number(text.get(..16)?)?,
        published: Duration::from_nanos(number(text.get(16..32)?)?),
        publisher,
    })
}

/// A frame of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Text(&'a [u8]),
    Ping(&'a [u8]),
    Other(u8),
}

/// Returns the first frame of `input` with its length, if it is complete.
pub(super) fn first_frame(input: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (head, length) = match *input {
        [_, 127, ..] => {
            let length = u64::from_be_bytes(*input[2..].first_chunk()?);
            (10, usize::try_from(length).ok()?)
        }
        [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        [_, length @ ..=125, ..] => (2, usize::from(length)),
        _ => return None,
    };
    let payload = input.get(head..head + length)?;
    let frame = match input[0] {
        0x81 => Frame::Text(payload),
        0x89 => Frame::Ping(payload),
        other => Frame::Other(other),
    };
    Some((frame, head + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64) -> Vec<u8> {
        message_of(0, number)
    }

    fn message_of(publisher: usize, number: u64) -> Vec<u8> {
        let message = Received {
            number,
            published: Duration::from_micros(number),
            publisher,
        };
        text(message, 64)
    }

    #[test]
    fn a_message_has_its_number_and_its_time() {
        let message = message_of(15, 300);
        assert_eq!(message.len(), 64);
        let received = Member::default().receive(&message).unwrap().unwrap();
        assert_eq!(received.number, 300);
        assert_eq!(received.published, Duration::from_micros(300));
        assert_eq!(received.publisher, 15);
        assert_eq!(parse(&message_of(16, 300)), None);
    }

    #[test]
    fn messages_that_are_missing_are_lost_or_told() {
        let mut member = Member::default();
        member.receive(&message(0)).unwrap();
        member.receive(&message(3)).unwrap();
        assert_eq!((member.lost, member.told), (2, 0));
        assert_eq!(member.receive(b"missed").unwrap(), None);
        member.receive(&message(8)).unwrap();
        assert_eq!((member.lost, member.told), (2, 4));
        member.receive(&message(10)).unwrap();
        assert_eq!((member.lost, member.told), (3, 4));
        member.end(15);
        member.end(15);
        assert_eq!((member.received, member.lost, member.told), (4, 7, 4));
    }

    #[test]
    fn each_publisher_has_its_numbers() {
        let mut member = Member::default();
        member.receive(&message_of(0, 0)).unwrap();
        member.receive(&message_of(1, 0)).unwrap();
        member.receive(b"missed").unwrap();
        member.receive(&message_of(0, 2)).unwrap();
        member.receive(&message_of(1, 3)).unwrap();
        member.receive(&message_of(1, 5)).unwrap();
        assert_eq!((member.received, member.lost, member.told), (5, 1, 3));
        member.receive(&message_of(1, 5)).unwrap_err();
    }

    #[test]
    fn a_message_that_comes_twice_is_an_error() {
        let mut member = Member::default();
        member.receive(&message(0)).unwrap();
        member.receive(&message(0)).unwrap_err();
        member.receive(b"hello").unwrap_err();
    }

    #[test]
    fn a_frame_is_seen_when_it_is_complete() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut input = vec![0x81];
            match length {
                ..=125 => input.push(u8::try_from(length).unwrap()),
                126..=65_535 => {
                    input.push(126);
                    input.extend(u16::try_from(length).unwrap().to_be_bytes());
                }
                _ => {
                    input.push(127);
                    input.extend((length as u64).to_be_bytes());
                }
            }
            input.extend(&payload);
            for end in [0, 1, 3, input.len() - 1] {
                assert_eq!(first_frame(&input[..end.min(input.len() - 1)]), None);
            }
            let whole = input.len();
            input.extend([0x89, 0]);
            assert_eq!(first_frame(&input), Some((Frame::Text(&payload), whole)));
            assert_eq!(first_frame(&input[whole..]), Some((Frame::Ping(b""), 2)));
        }
    }
}
