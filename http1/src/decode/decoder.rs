//! The decoder of whole connections.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::{
    ContentDecoder, DecodeError, DecodedContent, DecodedHead, HeadDecoder, Next, RequestHead,
};
use crate::Config;

/// Reads the requests of a connection from its read buffer, as events.
///
/// Each request is one [`Event::Head`], any number of [`Event::Data`] and one [`Event::End`]. The
/// decoder is moved by each call and comes back beside the event, so that there is no decoder after
/// an error.
///
/// After a change of protocol (a 101, or a 2xx to CONNECT), the server drops the decoder behind
/// [`Event::End`]. The octets in the read buffer belong to the other protocol.
///
/// [`HeadDecoder`] and [`ContentDecoder`] are the two states of this decoder, each with a type of its
/// own.
///
/// ```
/// use bytes::BytesMut;
/// use callgate_http1::{Config, Decoder, Event};
///
/// let mut input = BytesMut::from("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
/// let mut decoder = Decoder::new(Config::default());
/// let mut events = Vec::new();
/// loop {
///     let (event, next) = decoder.decode(&mut input)?;
///     decoder = next;
///     match event {
///         Some(Event::Head(head)) => events.push(format!("{} {}", head.method, head.target)),
///         Some(Event::Data(data)) => events.push(format!("{data:?}")),
///         Some(Event::End(_trailers)) => events.push("end".to_owned()),
///         None => break, // The server reads more octets into `input` and decodes again.
///     }
/// }
/// assert_eq!(events, ["POST /", "b\"hello\"", "end"]);
/// # Ok::<(), callgate_http1::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder(State);

/// A part of a request.
#[derive(Debug)]
pub enum Event {
    /// The head.
    Head(RequestHead),
    /// Octets of the content, at least one. They share the read buffer.
    Data(Bytes),
    /// The end of the request, also of a request without content. The fields are those of the
    /// trailer section, without those that trailers may not have (RFC 9110, section 6.5.1).
    End(HeaderMap),
}

#[derive(Debug)]
enum State {
    Head(HeadDecoder),
    Content(ContentDecoder),
}

impl Decoder {
    /// Creates the decoder of a connection. Many connections share one configuration.
    #[must_use]
    pub fn new(config: impl Into<std::sync::Arc<Config>>) -> Self {
        Self(State::Head(HeadDecoder::new(config)))
    }

    /// Reads the next event from the beginning of `input`, and takes its octets out. `None` means
    /// that the read buffer has no whole event: the caller reads more octets and decodes again.
    ///
    /// After `None`, the next call must have the same octets in `input`, with more appended.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the request is refused. The error does not depend on how the
    /// octets are cut into pieces.
    pub fn decode(self, input: &mut BytesMut) -> Result<(Option<Event>, Self), DecodeError> {
        let (event, state) = match self.0 {
            State::Head(decoder) => match decoder.decode(input)? {
                DecodedHead::Incomplete(decoder) => (None, State::Head(decoder)),
                DecodedHead::Complete(head, next) => {
                    let content = match next {
                        Next::Head(decoder) => ContentDecoder::with_length(decoder, 0),
                        Next::Content(decoder) => decoder,
                    };
                    (Some(Event::Head(head)), State::Content(content))
                }
            },
            State::Content(decoder) => match decoder.decode(input)? {
                DecodedContent::Incomplete(decoder) => (None, State::Content(decoder)),
                DecodedContent::Data(data, decoder) => {
                    (Some(Event::Data(data)), State::Content(decoder))
                }
                DecodedContent::End(trailers, decoder) => {
                    (Some(Event::End(trailers)), State::Head(decoder))
                }
            },
        };
        Ok((event, Self(state)))
    }
}
