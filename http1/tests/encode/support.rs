//! What the tests of the encoder share.

use bytes::BytesMut;
use callgate_http1::{
    AfterHead, Config, ContentEncoder, ContentLength, Date, DecodedHead, DefaultFields,
    EncodeError, FieldLines, HeadDecoder, ResponseEncoder,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// Returns the encoder of the response to this request line, with these fields.
pub(crate) fn encoder_for(line: &str, fields: &str) -> ResponseEncoder {
    let mut input = BytesMut::from(format!("{line}\r\nhost: a\r\n{fields}\r\n").as_str());
    match HeadDecoder::new(Config::default()).decode(&mut input) {
        Ok(DecodedHead::Complete(head, _)) => ResponseEncoder::new(&head),
        other => panic!("{line:?} is not a request line: {other:?}"),
    }
}

/// Returns the encoder of the response to a GET of HTTP/1.1.
pub(crate) fn encoder() -> ResponseEncoder {
    encoder_for("GET / HTTP/1.1", "")
}

pub(crate) fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value);
    }
    headers
}

/// A response as a test asks for it.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) length: ContentLength,
    pub(crate) date: Option<Date>,
    pub(crate) lines: Option<FieldLines>,
}

impl Response {
    pub(crate) fn new(status: u16, names_and_values: &[(&'static str, &'static str)]) -> Self {
        Self {
            status,
            headers: fields(names_and_values),
            length: ContentLength::Unknown,
            date: None,
            lines: None,
        }
    }

    pub(crate) fn of_length(mut self, length: u64) -> Self {
        self.length = ContentLength::Known(length);
        self
    }

    /// Encodes the head, and returns its text and what follows.
    pub(crate) fn encode(
        &self,
        encoder: ResponseEncoder,
    ) -> Result<(String, AfterHead), EncodeError> {
        let mut output = BytesMut::new();
        let status = StatusCode::from_u16(self.status).unwrap();
        let defaults = DefaultFields {
            date: self.date.as_ref(),
            lines: self.lines.as_ref(),
        };
        let after = encoder.encode(status, &self.headers, self.length, defaults, &mut output);
        if after.is_err() {
            assert!(output.is_empty(), "an error writes nothing");
        }
        Ok((String::from_utf8(output.to_vec()).unwrap(), after?))
    }

    /// Encodes the head of a response that has content.
    #[track_caller]
    pub(crate) fn content(&self, encoder: ResponseEncoder) -> (String, ContentEncoder) {
        match self.encode(encoder) {
            Ok((text, AfterHead::Content(content))) => (text, content),
            other => panic!("no content: {other:?}"),
        }
    }
}
