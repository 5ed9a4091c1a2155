//! What a decoder reads of a connection, in a form that can be compared.

use bytes::BytesMut;
use callgate_http1::{
    Config, ContentDecoder, DecodeError, DecodedContent, DecodedHead, Expectation, HeadDecoder,
    Next, Persistence, RequestHead, TargetForm,
};
use http::{HeaderMap, Version};

/// All that a decoder reads of the octets of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) requests: Vec<Request>,
    pub(crate) end: End,
    /// The octets that are left in the read buffer. They are empty if the octets are refused.
    pub(crate) unread: String,
}

/// A request. In texts, each character is an octet: U+00E9 is the octet E9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) form: TargetForm,
    pub(crate) version: Version,
    /// The fields as `name: value`.
    pub(crate) fields: Vec<String>,
    pub(crate) persistence: Persistence,
    pub(crate) expectation: Expectation,
    pub(crate) offers_upgrade: bool,
    pub(crate) content: String,
    pub(crate) trailers: Vec<String>,
    /// Whether the end of the content has been read.
    pub(crate) is_complete: bool,
}

/// What the decoder does behind the last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The decoder waits for a head, of which nothing has come.
    Idle,
    /// The decoder waits for the rest of a head.
    InHead,
    /// The decoder waits for the rest of content.
    InContent,
    /// As many requests have been read as should be read.
    Stopped,
    Refused(DecodeError),
}

enum Decoder {
    Head(HeadDecoder),
    Content(ContentDecoder),
}

/// Reads the octets of a connection, which come in pieces. The decoder stops behind `stop_after`
/// requests.
pub(crate) fn read_pieces<'a>(
    config: &Config,
    stop_after: Option<usize>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Reading {
    let mut pieces = pieces.into_iter();
    let mut input = BytesMut::new();
    let mut requests = Vec::new();
    let mut decoder = Decoder::Head(HeadDecoder::new(config.clone()));
    let end = loop {
        let is_next = matches!(decoder, Decoder::Head(_));
        if is_next && stop_after == Some(requests.len()) {
            pieces.for_each(|piece| input.extend_from_slice(piece));
            break End::Stopped;
        }
        let (next, goes_on) = match step(decoder, &mut input, &mut requests) {
            Ok(step) => step,
            Err(error) => {
                input.clear();
                break End::Refused(error);
            }
        };
        decoder = next;
        if !goes_on {
            match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break end(&decoder, &input, &requests),
            }
        }
    };
    Reading {
        requests,
        end,
        unread: text(&input),
    }
}

/// Takes one step. Returns whether there may be another with the same input.
fn step(
    decoder: Decoder,
    input: &mut BytesMut,
    requests: &mut Vec<Request>,
) -> Result<(Decoder, bool), DecodeError> {
    Ok(match decoder {
        Decoder::Head(head) => match head.decode(input)? {
            DecodedHead::Incomplete(head) => (Decoder::Head(head), false),
            DecodedHead::Complete(head, Next::Head(next)) => {
                requests.push(Request::new(&head, true));
                (Decoder::Head(next), true)
            }
            DecodedHead::Complete(head, Next::Content(next)) => {
                requests.push(Request::new(&head, false));
                (Decoder::Content(next), true)
            }
        },
        Decoder::Content(content) => {
            let request = requests.last_mut().expect("content follows a head");
            match content.decode(input)? {
                DecodedContent::Incomplete(content) => (Decoder::Content(content), false),
                DecodedContent::Data(data, content) => {
                    assert!(!data.is_empty(), "data has at least one octet");
                    request.content.push_str(&text(&data));
                    (Decoder::Content(content), true)
                }
                DecodedContent::End(trailers, head) => {
                    request.trailers = lines(&trailers);
                    request.is_complete = true;
                    (Decoder::Head(head), true)
                }
            }
        }
    })
}

/// Returns what the decoder waits for.
fn end(decoder: &Decoder, input: &[u8], requests: &[Request]) -> End {
    match decoder {
        Decoder::Head(head) if head.buffered(input) == 0 => End::Idle,
        Decoder::Head(_) => End::InHead,
        Decoder::Content(content) => {
            let request = requests.last().expect("content follows a head");
            let received = request.content.chars().count() as u64;
            assert_eq!(content.received(), received, "all content is counted");
            End::InContent
        }
    }
}

impl Request {
    fn new(head: &RequestHead, is_complete: bool) -> Self {
        Self {
            method: head.method.to_string(),
            target: head.target.to_string(),
            form: head.target_form,
            version: head.version,
            fields: lines(&head.headers),
            persistence: head.persistence,
            expectation: head.expectation,
            offers_upgrade: head.offers_upgrade,
            content: String::new(),
            trailers: Vec::new(),
            is_complete,
        }
    }
}

/// Returns the fields in the order of their names. The order of fields of different names has no meaning
/// (RFC 9110, section 5.3).
pub(crate) fn lines(fields: &HeaderMap) -> Vec<String> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| name.as_str());
    fields
        .into_iter()
        .map(|(name, value)| format!("{name}: {}", text(value.as_bytes())))
        .collect()
}

/// Returns a text in which each character is an octet.
pub(crate) fn text(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}
