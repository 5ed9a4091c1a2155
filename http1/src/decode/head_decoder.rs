//! The decoder of heads.

use std::sync::Arc;

use bytes::BytesMut;
use http::HeaderMap;

use super::DecodeError;
use super::content_decoder::ContentDecoder;
use super::head::RequestHead;
use super::head_reader::HeadReader;
use super::semantics::Framing;
use crate::Config;

/// Reads the head of the next request from a connection's read buffer.
///
/// A decoder is moved by each call and comes back in what the call returns, so that a call which
/// the protocol forbids cannot be written: while content comes, there is a [`ContentDecoder`] and
/// no `HeadDecoder`, and after an error there is neither.
///
/// ```
/// use bytes::BytesMut;
/// use callgate_http1::{Config, DecodedHead, HeadDecoder, Next};
///
/// let mut input = BytesMut::from("GET / HTTP/1.1\r\nhost: example.com\r\n");
/// let decoder = HeadDecoder::new(Config::default());
/// let DecodedHead::Incomplete(decoder) = decoder.decode(&mut input)? else {
///     panic!("the empty line at the end of the head has not come");
/// };
/// input.extend_from_slice(b"\r\n");
/// let DecodedHead::Complete(head, next) = decoder.decode(&mut input)? else {
///     panic!("the head is whole");
/// };
/// assert_eq!(head.method, "GET");
/// assert_eq!(head.headers["host"], "example.com");
/// assert!(matches!(next, Next::Head(_)));
/// # Ok::<(), callgate_http1::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct HeadDecoder {
    // A box, so that a move is a move of one pointer.
    reader: Box<HeadReader>,
}

/// The result of [`HeadDecoder::decode`].
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the value is matched at once, and a box would be an allocation for each request"
)]
pub enum DecodedHead {
    /// The read buffer has no whole head. The caller reads more octets and decodes again.
    Incomplete(HeadDecoder),
    /// The head, and the state of the connection after the head.
    Complete(RequestHead, Next),
}

/// The state of a connection after the head of a request.
///
/// After a change of protocol (a 101, or a 2xx to CONNECT), the octets behind the request belong to
/// the other protocol. No decoder touches them before it is called: the server drops the decoder
/// and has the octets in its read buffer.
#[derive(Debug)]
pub enum Next {
    /// The request has no content. The next request follows.
    Head(HeadDecoder),
    /// The content of the request follows.
    Content(ContentDecoder),
}

impl HeadDecoder {
    /// Creates the decoder of a connection. Many connections share one configuration.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        Self {
            reader: Box::new(HeadReader::new(config.into())),
        }
    }

    /// Reads a head from the beginning of `input`, and takes it out if it is whole.
    ///
    /// After [`DecodedHead::Incomplete`], the next call must have the same octets in `input`, with
    /// more appended. No octet is searched twice, so that octets may come one at a time.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the head is refused. The error does not depend on how the
    /// octets are cut into pieces.
    #[inline]
    pub fn decode(mut self, input: &mut BytesMut) -> Result<DecodedHead, DecodeError> {
        let Some((head, framing)) = self.reader.read(input)? else {
            return Ok(DecodedHead::Incomplete(self));
        };
        let next = match framing {
            Framing::None => Next::Head(self),
            Framing::Length(length) => Next::Content(ContentDecoder::with_length(self, length)),
            Framing::Chunked => Next::Content(ContentDecoder::chunked(self)),
        };
        Ok(DecodedHead::Complete(head, next))
    }

    /// Returns how many octets of `input` are the beginning of a head: 0 while nothing of the next
    /// request has come but the empty lines that may precede it.
    #[must_use]
    pub fn buffered(&self, input: &[u8]) -> usize {
        let is_line_end = |octet: &u8| matches!(octet, b'\r' | b'\n');
        let line_ends = input.iter().take_while(|octet| is_line_end(octet)).count();
        input.len() - line_ends
    }

    /// Takes a map that the server no longer needs, such as that of the response. The decoder reads
    /// the fields of the next request into its memory if they fit, and frees the memory of a large
    /// map.
    #[inline]
    pub fn reuse(&mut self, headers: HeaderMap) {
        self.reader.reuse(headers);
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.reader.config()
    }
}
