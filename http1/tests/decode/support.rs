//! What the tests of the decoder share.

use std::mem;

use bytes::BytesMut;
use callgate_http1::{
    Config, ContentDecoder, DecodeError, DecodedContent, DecodedHead, HeadDecoder, Next,
    RequestHead,
};
use http::HeaderMap;

/// What a decoder has read of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) events: Vec<Event>,
    pub(crate) end: End,
}

/// What a decoder returns, in a form that can be compared. Pieces of data are joined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Head(String),
    Data(Vec<u8>),
    End(String),
}

/// What the decoder does behind the events.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// It waits for a head.
    #[default]
    Idle,
    /// It waits for the rest of a head.
    InHead,
    /// It waits for the rest of content.
    InContent,
    Refused(DecodeError),
}

enum Decoder {
    Head(HeadDecoder),
    Content(ContentDecoder),
    Refused,
}

/// Decodes octets that come in pieces.
pub(crate) fn decode_pieces<'a>(
    config: &Config,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Decoded {
    let mut decoded = Decoded::default();
    let mut input = BytesMut::new();
    let mut decoder = Decoder::Head(HeadDecoder::new(config.clone()));
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoded.step(&mut decoder, &mut input) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    decoded.end = End::Refused(error);
                    return decoded;
                }
            }
        }
    }
    decoded.end = match &decoder {
        Decoder::Head(head) if head.buffered(&input) == 0 => End::Idle,
        Decoder::Head(_) => End::InHead,
        _ => End::InContent,
    };
    decoded
}

impl Decoded {
    /// Takes one step. Returns whether there may be another with the same input.
    fn step(&mut self, decoder: &mut Decoder, input: &mut BytesMut) -> Result<bool, DecodeError> {
        let (next, goes_on) = match mem::replace(decoder, Decoder::Refused) {
            Decoder::Head(head) => match head.decode(input)? {
                DecodedHead::Incomplete(head) => (Decoder::Head(head), false),
                DecodedHead::Complete(head, next) => {
                    self.events.push(Event::Head(summary(&head)));
                    match next {
                        Next::Head(head) => (Decoder::Head(head), true),
                        Next::Content(content) => (Decoder::Content(content), true),
                    }
                }
            },
            Decoder::Content(content) => match content.decode(input)? {
                DecodedContent::Incomplete(content) => (Decoder::Content(content), false),
                DecodedContent::Data(data, content) => {
                    assert!(!data.is_empty(), "data has at least one octet");
                    match self.events.last_mut() {
                        Some(Event::Data(before)) => before.extend_from_slice(&data),
                        _ => self.events.push(Event::Data(data.to_vec())),
                    }
                    (Decoder::Content(content), true)
                }
                DecodedContent::End(trailers, head) => {
                    self.events.push(Event::End(fields(&trailers)));
                    (Decoder::Head(head), true)
                }
            },
            Decoder::Refused => unreachable!("the loop ends with the first error"),
        };
        *decoder = next;
        Ok(goes_on)
    }
}

fn summary(head: &RequestHead) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?} upgrade={}\n{}",
        head.method,
        head.target,
        head.target_form,
        head.version,
        head.persistence,
        head.expectation,
        head.offers_upgrade,
        fields(&head.headers)
    )
}

fn fields(headers: &HeaderMap) -> String {
    let fields = headers.iter();
    let lines = fields.map(|(name, value)| format!("{name}: {:?}\n", value.as_bytes()));
    lines.collect()
}

/// Decodes the octets in one piece and one at a time, and checks that both give the same.
pub(crate) fn decode_with(config: &Config, input: impl AsRef<[u8]>) -> Decoded {
    let input = input.as_ref();
    let whole = decode_pieces(config, [input]);
    let octets = decode_pieces(config, input.chunks(1));
    let text = String::from_utf8_lossy(input);
    assert_eq!(
        whole, octets,
        "in one piece, and an octet at a time: {text:?}"
    );
    whole
}

/// Decodes the octets by the default configuration, in one piece and one at a time.
pub(crate) fn decode(input: impl AsRef<[u8]>) -> Decoded {
    decode_with(&Config::default(), input)
}

/// Decodes the octets, which are refused, and returns why.
#[track_caller]
pub(crate) fn refusal_with(config: &Config, input: impl AsRef<[u8]>) -> DecodeError {
    let text = String::from_utf8_lossy(input.as_ref()).into_owned();
    match decode_with(config, input).end {
        End::Refused(error) => error,
        end => panic!("{text:?} is not refused: {end:?}"),
    }
}

/// Decodes the octets by the default configuration, which refuses them, and returns why.
#[track_caller]
pub(crate) fn refusal(input: impl AsRef<[u8]>) -> DecodeError {
    refusal_with(&Config::default(), input)
}

/// Decodes the head of a request.
#[track_caller]
pub(crate) fn head_with(config: &Config, input: impl AsRef<[u8]>) -> (RequestHead, Next) {
    let text = String::from_utf8_lossy(input.as_ref()).into_owned();
    let mut input = BytesMut::from(input.as_ref());
    match HeadDecoder::new(config.clone()).decode(&mut input) {
        Ok(DecodedHead::Complete(head, next)) => (head, next),
        Ok(DecodedHead::Incomplete(_)) => panic!("{text:?} is not a whole head"),
        Err(error) => panic!("{text:?}: {error}"),
    }
}

/// Decodes the head of a request by the default configuration.
#[track_caller]
pub(crate) fn head(input: impl AsRef<[u8]>) -> (RequestHead, Next) {
    head_with(&Config::default(), input)
}

/// Returns a request of HTTP/1.1 for `/` with a `host` and these lines.
pub(crate) fn request(method: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} / HTTP/1.1\r\nhost: a\r\n{lines}\r\n")
}
