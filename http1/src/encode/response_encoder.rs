//! The encoder of interim responses and of heads.

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version};

use super::content_encoder::{ContentEncoder, Framing};
use super::head_fields::{CallerFields, write, write_number};
use super::{DefaultFields, EncodeError};
use crate::{DecodeError, Persistence, RequestHead};

/// Writes the response to one request. The call that writes the head moves the encoder, so that there
/// is one final response, and no interim response behind it. An error writes nothing. A server that
/// responds otherwise after an error clones the encoder before the call.
///
/// ```
/// use bytes::BytesMut;
/// use callgate_http1::{
///     AfterHead, Config, ContentLength, DecodedHead, DefaultFields, HeadDecoder, Persistence,
///     ResponseEncoder,
/// };
/// use http::{HeaderMap, StatusCode};
///
/// let mut input = BytesMut::from("GET / HTTP/1.1\r\nhost: example.com\r\n\r\n");
/// let decoder = HeadDecoder::new(Config::default());
/// let DecodedHead::Complete(request, _next) = decoder.decode(&mut input)? else {
///     panic!("the head is whole");
/// };
///
/// let mut output = BytesMut::new();
/// let encoder = ResponseEncoder::new(&request);
/// let (fields, content) = (HeaderMap::new(), b"hello");
/// let length = ContentLength::Known(content.len() as u64);
/// match encoder.encode(StatusCode::OK, &fields, length, DefaultFields::NONE, &mut output)? {
///     AfterHead::Content(mut encoder) => {
///         encoder.encode(content, &mut output)?;
///         assert_eq!(encoder.end(&mut output)?, Persistence::KeepAlive);
///     }
///     AfterHead::End(_) | AfterHead::Tunnel => {}
/// }
/// assert_eq!(output, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request has a response"]
pub struct ResponseEncoder {
    request: Request,
    is_http_10: bool,
    offers_upgrade: bool,
    persistence: Persistence,
}

/// How many octets are reserved for a head.
const USUAL_HEAD: usize = 256;

/// The kinds of request with their own rules for the content of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Head,
    Connect,
    Other,
}

/// The length of a response's content, as far as the caller knows it. The caller's fields may give the
/// length too, as `content-length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentLength {
    /// The content has so many octets.
    Known(u64),
    /// The caller does not know. The content is chunked, or to a client of HTTP/1.0 ends with the
    /// connection, unless the caller's fields have a `content-length`.
    Unknown,
}

/// The state of a response after its head.
#[derive(Debug)]
#[must_use = "the content of the response comes next"]
pub enum AfterHead {
    /// The content.
    Content(ContentEncoder),
    /// The response has no content and is at its end: it responds to HEAD, or its status is 204 or
    /// 304 (RFC 9112, section 6.3).
    End(Persistence),
    /// The connection is a tunnel: the response is of status 2xx to CONNECT (RFC 9110, section
    /// 9.3.6).
    Tunnel,
}

impl ResponseEncoder {
    /// Creates the encoder of the response to this request.
    #[inline]
    pub fn new(request: &RequestHead) -> Self {
        Self {
            request: match request.method {
                Method::HEAD => Request::Head,
                Method::CONNECT => Request::Connect,
                _ => Request::Other,
            },
            is_http_10: request.version == Version::HTTP_10,
            offers_upgrade: request.offers_upgrade,
            persistence: request.persistence,
        }
    }

    /// Creates the encoder of the response to a request that could not be decoded. The connection
    /// is closed after the response.
    pub fn for_malformed_request() -> Self {
        Self {
            request: Request::Other,
            is_http_10: false,
            offers_upgrade: false,
            persistence: Persistence::Close,
        }
    }

    /// Decides that the connection is closed after the response.
    pub fn close(&mut self) {
        self.persistence = Persistence::Close;
    }

    /// Writes `100 Continue` (RFC 9110, section 15.2.1). Returns whether it is written: a client of
    /// HTTP/1.0 gets no interim response.
    pub fn encode_continue(&self, output: &mut BytesMut) -> bool {
        if !self.is_http_10 {
            output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        !self.is_http_10
    }

    /// Writes `103 Early Hints` with these fields (RFC 8297), without the fields that concern
    /// framing and connection. Returns whether it is written: a client of HTTP/1.0 gets no interim
    /// response.
    pub fn encode_early_hints(&self, headers: &HeaderMap, output: &mut BytesMut) -> bool {
        if !self.is_http_10 {
            output.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
            for (name, value) in headers {
                match *name {
                    header::CONTENT_LENGTH
                    | header::TRANSFER_ENCODING
                    | header::CONNECTION
                    | header::UPGRADE => {}
                    _ => write(output, name.as_str(), value.as_bytes()),
                }
            }
            output.extend_from_slice(b"\r\n");
        }
        !self.is_http_10
    }

    /// Writes `101 Switching Protocols` with these fields, which have `upgrade` (RFC 9110, section
    /// 7.8). What follows is of the other protocol.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::UpgradeNotOffered`] if the client has not offered to change the
    /// protocol, and [`EncodeError::MissingUpgradeField`] if the fields have no `upgrade`.
    pub fn encode_upgrade(
        self,
        headers: &HeaderMap,
        defaults: DefaultFields<'_>,
        output: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if !self.offers_upgrade {
            return Err(EncodeError::UpgradeNotOffered);
        }
        if !headers.contains_key(header::UPGRADE) {
            return Err(EncodeError::MissingUpgradeField);
        }
        let begin = output.len();
        output.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        match CallerFields::write(headers, defaults, output) {
            Ok(fields) => {
                fields.write_connection(headers, None, output);
                output.extend_from_slice(b"\r\n");
                Ok(())
            }
            Err(error) => {
                output.truncate(begin);
                Err(error)
            }
        }
    }

    /// Writes the head of the final response.
    ///
    /// The encoder decides on the framing. `content-length` of the caller's fields is kept where
    /// the response may have it, and `transfer-encoding` is left out. A `connection` field
    /// of the caller keeps its options, and `close` among them closes the connection. With an
    /// `upgrade` field, `connection` has the option `upgrade`. Default fields are written if the
    /// caller's fields have none of their name.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the response cannot be encoded.
    #[inline]
    pub fn encode(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        length: ContentLength,
        defaults: DefaultFields<'_>,
        output: &mut BytesMut,
    ) -> Result<AfterHead, EncodeError> {
        if status.is_informational() {
            return Err(EncodeError::InterimStatus(status));
        }
        let begin = output.len();
        let after = self.write_head(status, headers, length, defaults, output);
        if after.is_err() {
            output.truncate(begin);
        }
        after
    }

    /// Writes a whole response: its head, and its content where the response may have content.
    /// Returns whether the connection persists.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the response cannot be encoded. A 2xx to CONNECT is
    /// [`EncodeError::OpensTunnel`]: it has no content and is not a whole response.
    pub fn encode_whole(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        content: &[u8],
        defaults: DefaultFields<'_>,
        output: &mut BytesMut,
    ) -> Result<Persistence, EncodeError> {
        let begin = output.len();
        let length = ContentLength::Known(content.len() as u64);
        match self.encode(status, headers, length, defaults, output)? {
            AfterHead::Content(mut encoder) => {
                encoder.encode(content, output)?;
                encoder.end(output)
            }
            AfterHead::End(persistence) => Ok(persistence),
            AfterHead::Tunnel => {
                output.truncate(begin);
                Err(EncodeError::OpensTunnel(status))
            }
        }
    }

    /// Writes the whole response to a request that is refused: the status of the error, and its
    /// reason as text. The connection is closed after the response.
    ///
    /// If content is refused after the response has begun, the server closes the connection without
    /// a refusal, which the client would read as a second response.
    pub fn encode_refusal(
        mut self,
        error: DecodeError,
        defaults: DefaultFields<'_>,
        output: &mut BytesMut,
    ) {
        self.close();
        let text = HeaderValue::from_static("text/plain");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, text)]);
        let reason = error.reason().as_bytes();
        self.encode_whole(error.status(), &headers, reason, defaults, output)
            .expect("a refusal has the status of an error and no length of its own");
    }

    #[inline]
    fn write_head(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        length: ContentLength,
        defaults: DefaultFields<'_>,
        output: &mut BytesMut,
    ) -> Result<AfterHead, EncodeError> {
        output.reserve(USUAL_HEAD);
        write_status_line(status, output);
        let fields = CallerFields::write(headers, defaults, output)?;
        let content = self.content(status, fields.length, length)?;
        match content {
            Content::Framed(Framing::Length(length)) | Content::Omitted(Some(length)) => {
                output.extend_from_slice(b"content-length: ");
                write_number(output, length);
                output.extend_from_slice(b"\r\n");
            }
            Content::Framed(Framing::Chunked) => {
                output.extend_from_slice(b"transfer-encoding: chunked\r\n");
            }
            Content::Framed(Framing::Close) | Content::Omitted(None) | Content::Tunnel => {}
        }
        let closes = fields.closes || content == Content::Framed(Framing::Close);
        let persistence = match closes {
            true => Persistence::Close,
            false => self.persistence,
        };
        let option = match persistence {
            _ if content == Content::Tunnel => None,
            Persistence::Close => Some("close"),
            Persistence::KeepAlive if self.is_http_10 => Some("keep-alive"),
            Persistence::KeepAlive => None,
        };
        fields.write_connection(headers, option, output);
        output.extend_from_slice(b"\r\n");
        Ok(match content {
            Content::Framed(framing) => {
                AfterHead::Content(ContentEncoder::new(framing, persistence))
            }
            Content::Omitted(_) => AfterHead::End(persistence),
            Content::Tunnel => AfterHead::Tunnel,
        })
    }

    /// Decides on the content and its framing (RFC 9110, section 8.6; RFC 9112, sections 6.1 to
    /// 6.3).
    #[inline]
    fn content(
        &self,
        status: StatusCode,
        field: Option<u64>,
        length: ContentLength,
    ) -> Result<Content, EncodeError> {
        match (self.request, status) {
            (Request::Connect, _) if status.is_success() => return Ok(Content::Tunnel),
            (_, StatusCode::NO_CONTENT) => return Ok(Content::Omitted(None)),
            (_, StatusCode::NOT_MODIFIED) => return Ok(Content::Omitted(field)),
            // The content that the caller has is not always that of a GET: an empty one says
            // nothing about the length.
            (Request::Head, _) => {
                return Ok(Content::Omitted(field.or(match length {
                    ContentLength::Known(length) if length > 0 => Some(length),
                    _ => None,
                })));
            }
            _ => {}
        }
        let length = match (field, length) {
            (Some(field), ContentLength::Known(content)) if field != content => {
                return Err(EncodeError::DifferentContentLength { field, content });
            }
            (Some(length), _) | (None, ContentLength::Known(length)) => Some(length),
            (None, ContentLength::Unknown) => None,
        };
        Ok(Content::Framed(match length {
            _ if status == StatusCode::RESET_CONTENT => match length {
                None | Some(0) => Framing::Length(0),
                Some(_) => return Err(EncodeError::ContentOfResetContent),
            },
            Some(length) => Framing::Length(length),
            None if self.is_http_10 => Framing::Close,
            None => Framing::Chunked,
        }))
    }
}

/// The content of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Framed(Framing),
    /// No content, and the `content-length` that the response has all the same.
    Omitted(Option<u64>),
    Tunnel,
}

/// Writes the status line (RFC 9112, section 4). The version is the server's own (RFC 9110, section
/// 2.5), also to a client of HTTP/1.0.
#[inline]
fn write_status_line(status: StatusCode, output: &mut BytesMut) {
    if status == StatusCode::OK {
        output.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    output.extend_from_slice(b"HTTP/1.1 ");
    output.extend_from_slice(status.as_str().as_bytes());
    output.extend_from_slice(b" ");
    output.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    output.extend_from_slice(b"\r\n");
}
