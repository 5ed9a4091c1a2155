//! The decoder of content.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::section::Lines;
use super::{DecodeError, HeadDecoder, chunk_line, trailers};

/// Reads the content of a request from a connection's read buffer, and takes its framing off.
///
/// A decoder is moved by each call and comes back in what the call returns. With the end of the
/// content, the [`HeadDecoder`] for the next request comes back.
///
/// ```
/// use bytes::BytesMut;
/// use callgate_http1::{Config, DecodedContent, DecodedHead, HeadDecoder, Next};
///
/// let mut input = BytesMut::from(
///     "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
///      5\r\nhello\r\n0\r\nsum: 1\r\n\r\n",
/// );
/// let decoder = HeadDecoder::new(Config::default());
/// let DecodedHead::Complete(_, Next::Content(content)) = decoder.decode(&mut input)? else {
///     panic!("the request has content");
/// };
/// let DecodedContent::Data(data, content) = content.decode(&mut input)? else {
///     panic!("a chunk has come");
/// };
/// assert_eq!(data, "hello");
/// let DecodedContent::End(trailers, _next) = content.decode(&mut input)? else {
///     panic!("the content is whole");
/// };
/// assert_eq!(trailers["sum"], "1");
/// # Ok::<(), callgate_http1::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct ContentDecoder {
    next: HeadDecoder,
    received: u64,
    state: State,
}

/// The result of [`ContentDecoder::decode`].
#[derive(Debug)]
pub enum DecodedContent {
    /// The read buffer has no content. The caller reads more octets and decodes again.
    Incomplete(ContentDecoder),
    /// Octets of the content, at least one. They share the read buffer.
    Data(Bytes, ContentDecoder),
    /// The content is at its end. The fields are those of the trailer section, without those that
    /// trailers may not have (RFC 9110, section 6.5.1). The octets behind the content are the next
    /// request.
    End(HeaderMap, HeadDecoder),
}

/// The next element of the content.
#[derive(Debug)]
enum State {
    /// So many octets of content of a known length.
    Length(u64),
    /// The line in front of a chunk.
    ChunkLine(Lines),
    /// So many octets of a chunk, at least one.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// The trailer section, which ends with an empty line.
    Trailers(Lines),
}

impl ContentDecoder {
    pub(super) fn with_length(next: HeadDecoder, length: u64) -> Self {
        Self {
            next,
            received: 0,
            state: State::Length(length),
        }
    }

    pub(super) fn chunked(next: HeadDecoder) -> Self {
        Self {
            next,
            received: 0,
            state: State::ChunkLine(Lines::default()),
        }
    }

    /// Reads content from the beginning of `input`, and takes it out.
    ///
    /// After [`DecodedContent::Incomplete`], the next call must have the same octets in `input`,
    /// with more appended.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the content is refused. The error does not depend on how the
    /// octets are cut into pieces.
    pub fn decode(mut self, input: &mut BytesMut) -> Result<DecodedContent, DecodeError> {
        loop {
            self.state = match self.state {
                State::Length(0) => return Ok(DecodedContent::End(HeaderMap::new(), self.next)),
                State::Length(remaining) | State::Chunk(remaining) => {
                    return Ok(self.take_data(input, remaining));
                }
                State::ChunkLine(mut lines) => match self.take_chunk_line(&mut lines, input)? {
                    Some(0) => State::Trailers(Lines::default()),
                    Some(size) => State::Chunk(size),
                    None => {
                        self.state = State::ChunkLine(lines);
                        return Ok(DecodedContent::Incomplete(self));
                    }
                },
                State::ChunkEnd => match (input.first(), input.get(1)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        input.advance(2);
                        State::ChunkLine(Lines::default())
                    }
                    (None, _) | (Some(b'\r'), None) => {
                        return Ok(DecodedContent::Incomplete(self));
                    }
                    (Some(b'\n'), _) => return Err(DecodeError::BareLf),
                    (Some(b'\r'), Some(_)) => return Err(DecodeError::BareCr),
                    _ => return Err(DecodeError::ChunkEnd),
                },
                State::Trailers(mut lines) => {
                    return match trailers::decode(&mut lines, input, &self.next.config().limits)? {
                        Some(trailers) => Ok(DecodedContent::End(trailers, self.next)),
                        None => {
                            self.state = State::Trailers(lines);
                            Ok(DecodedContent::Incomplete(self))
                        }
                    };
                }
            };
        }
    }

    /// Returns how many octets are left of content whose length is known, or `None` if the content
    /// is chunked.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(remaining) => Some(remaining),
            _ => None,
        }
    }

    /// Returns how many octets of content have been taken out of the read buffer.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    #[inline]
    fn take_data(mut self, input: &mut BytesMut, remaining: u64) -> DecodedContent {
        if input.is_empty() {
            return DecodedContent::Incomplete(self);
        }
        let length = usize::try_from(remaining).map_or(input.len(), |most| most.min(input.len()));
        let data = input.split_to(length).freeze();
        let taken = length as u64;
        let remaining = remaining - taken;
        self.received = self.received.saturating_add(taken);
        self.state = match self.state {
            State::Length(_) => State::Length(remaining),
            _ if remaining == 0 => State::ChunkEnd,
            _ => State::Chunk(remaining),
        };
        DecodedContent::Data(data, self)
    }

    /// Takes the line in front of a chunk out of `input`, and returns the size of the chunk. `lines`
    /// has the octets searched so far.
    #[inline]
    fn take_chunk_line(
        &self,
        lines: &mut Lines,
        input: &mut BytesMut,
    ) -> Result<Option<u64>, DecodeError> {
        let longest = self.next.config().limits.chunk_line.saturating_add(2);
        let Some(line) = lines.next(&input[..input.len().min(longest)]) else {
            return match input.len() < longest {
                true => Ok(None),
                false => Err(DecodeError::ChunkLineTooLong),
            };
        };
        let length = line.len();
        let size = match input[line].strip_suffix(b"\r\n") {
            Some(line) if line.contains(&b'\r') => return Err(DecodeError::BareCr),
            Some(line) => chunk_line::parse(line)?,
            None => return Err(DecodeError::BareLf),
        };
        input.advance(length);
        Ok(Some(size))
    }
}
