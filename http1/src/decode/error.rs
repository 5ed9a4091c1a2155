//! The reasons for which requests are refused.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// The reason for which a request is refused. After an error, nothing more can be decoded: the
/// beginning of the next request is unknown.
///
/// Each error knows the [status](Self::status) of the response, a [sentence](Self::reason) for the
/// client, and the [section](Self::section) of the standard that the decision rests on. `Display`
/// writes the sentence and the section, for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeError {
    /// More than two empty lines precede the request line. Status 400 (RFC 9112, section 2.2).
    EmptyLines,
    /// A line ends with LF without CR. Status 400 (RFC 9112, section 2.2).
    BareLf,
    /// A CR is not followed by LF. Status 400 (RFC 9112, section 2.2).
    BareCr,
    /// The request line does not have exactly a method, a target and a version, with one space
    /// between. Status 400 (RFC 9112, section 3).
    RequestLine,
    /// The method is not a token. Status 400 (RFC 9112, section 3.1).
    Method,
    /// The method is longer than [`Limits::method`](crate::Limits::method). Status 501 (RFC 9112,
    /// section 3).
    MethodTooLong,
    /// The target has an octet outside of its grammar, a fragment, or a malformed percent-encoding.
    /// Status 400 (RFC 9112, section 3.2).
    Target,
    /// The target is longer than [`Limits::target`](crate::Limits::target). Status 414 (RFC 9112,
    /// section 3).
    TargetTooLong,
    /// The form of the target does not go with the method: the authority form is for CONNECT only,
    /// which has no other form, and `*` is for OPTIONS only. Status 400 (RFC 9112, section 3.2).
    TargetForm,
    /// The scheme of a target in absolute form is neither `http` nor `https`. Status 400 (RFC 9110,
    /// section 4.2).
    TargetScheme,
    /// The authority of the target is malformed, has no host, or has userinfo. Status 400 (RFC
    /// 9110, section 4.2).
    TargetAuthority,
    /// The version is not `HTTP/`, a digit, a dot and a digit. Status 400 (RFC 9112, section 2.3).
    Version,
    /// The major version of HTTP is not 1. Status 505 (RFC 9110, section 15.6.6).
    UnsupportedVersion,
    /// The name of a field is empty or not a token, or a field line has no colon. Status 400 (RFC
    /// 9112, section 5).
    FieldName,
    /// A space or a tab stands between the name of a field and the colon. Status 400 (RFC 9112,
    /// section 5.1).
    BlankBeforeColon,
    /// The value of a field has a control octet. Status 400 (RFC 9110, section 5.5).
    FieldValue,
    /// A field line begins with a space or a tab: it continues the line before (obs-fold), or it is
    /// the first. Status 400 (RFC 9112, section 5.2).
    FoldedLine,
    /// A field line is longer than [`Limits::field`](crate::Limits::field). Status 431 (RFC 6585,
    /// section 5).
    FieldTooLong,
    /// There are more field lines than [`Limits::field_count`](crate::Limits::field_count). Status
    /// 431 (RFC 6585, section 5).
    TooManyFields,
    /// All field lines of the head together are longer than
    /// [`Limits::fields`](crate::Limits::fields). Status 431 (RFC 6585, section 5).
    FieldsTooLarge,
    /// A request of HTTP/1.1 has no `host` field. Status 400 (RFC 9112, section 3.2).
    HostMissing,
    /// There is more than one `host` field. Status 400 (RFC 9112, section 3.2).
    HostRepeated,
    /// The value of the `host` field is not a host with an optional port. Status 400 (RFC 9110,
    /// section 7.2).
    Host,
    /// The value of a `content-length` field is not made of digits. A list is read if its elements
    /// are lengths, and an empty element is not (RFC 9110, section 8.6). Status 400 (RFC 9112, section
    /// 6.3).
    ContentLength,
    /// The `content-length` fields differ. Status 400 (RFC 9112, section 6.3).
    ContentLengthConflict,
    /// The value of a `content-length` field is 2^64 or more. Status 400 (RFC 9110, section 8.6).
    ContentLengthTooLarge,
    /// The last transfer coding is not `chunked`, `chunked` is applied twice or has parameters, or
    /// the list has a malformed or an empty element: the length of the content is unknown. Status
    /// 400 (RFC 9112, section 6.3).
    ///
    /// RFC 9110, section 5.6.1.2 has recipients ignore empty elements, as in `chunked,`. The decoder
    /// does so in `connection`, `expect` and `upgrade`, but not here: a proxy in front of the server
    /// that does not read `chunked` in such a list finds another end of the content (RFC 9112,
    /// section 11.2).
    TransferEncoding,
    /// A transfer coding other than `chunked` is applied before `chunked`. Status 501 (RFC 9112,
    /// section 6.1).
    TransferCoding,
    /// A request of HTTP/1.0 has `transfer-encoding`. Status 400 (RFC 9112, section 6.1).
    TransferEncodingInHttp10,
    /// The size of a chunk is missing or has an octet that is not a hexadecimal digit. Status 400
    /// (RFC 9112, section 7.1).
    ChunkSize,
    /// The size of a chunk has more than 16 digits. Status 400 (RFC 9112, section 7.1).
    ChunkSizeTooLong,
    /// The extension of a chunk does not follow its grammar. Status 400 (RFC 9112, section 7.1.1).
    ChunkExtension,
    /// The line in front of a chunk is longer than
    /// [`Limits::chunk_line`](crate::Limits::chunk_line). Status 400 (RFC 9112, section 7.1.1).
    ChunkLineTooLong,
    /// The data of a chunk is not followed by CRLF. Status 400 (RFC 9112, section 7.1).
    ChunkEnd,
    /// The trailer section is longer than [`Limits::trailers`](crate::Limits::trailers). Status 431
    /// (RFC 6585, section 5).
    TrailersTooLarge,
}

impl DecodeError {
    /// Returns the status of the response to the client.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::FieldTooLong
            | Self::TooManyFields
            | Self::FieldsTooLarge
            | Self::TrailersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::MethodTooLong | Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::UnsupportedVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the sentence for the client, without a full stop: `the target is too long`. The
    /// sentence has no part of the request in it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::EmptyLines => "there are more than two empty lines before the request line",
            Self::BareLf => "a line ends with LF without CR",
            Self::BareCr => "a CR is not followed by LF",
            Self::RequestLine => "the request line is malformed",
            Self::Method => "the method is malformed",
            Self::MethodTooLong => "the method is too long",
            Self::Target => "the target is malformed",
            Self::TargetTooLong => "the target is too long",
            Self::TargetForm => "the form of the target does not go with the method",
            Self::TargetScheme => "the scheme of the target is not supported",
            Self::TargetAuthority => "the authority of the target is malformed",
            Self::Version => "the version of HTTP is malformed",
            Self::UnsupportedVersion => "this version of HTTP is not supported",
            Self::FieldName => "the name of a field is malformed",
            Self::BlankBeforeColon => "there is a blank between the name of a field and the colon",
            Self::FieldValue => "the value of a field has a control octet",
            Self::FoldedLine => "a field line begins with a blank",
            Self::FieldTooLong => "a field line is too long",
            Self::TooManyFields => "there are too many fields",
            Self::FieldsTooLarge => "the fields of the head are too large",
            Self::HostMissing => "the `host` field is missing",
            Self::HostRepeated => "there is more than one `host` field",
            Self::Host => "the `host` field is malformed",
            Self::ContentLength => "the `content-length` field is malformed",
            Self::ContentLengthConflict => "the `content-length` fields differ",
            Self::ContentLengthTooLarge => "the `content-length` field is 2^64 or more",
            Self::TransferEncoding => {
                "the `transfer-encoding` field does not end with one `chunked`"
            }
            Self::TransferCoding => "a transfer coding other than `chunked` is not supported",
            Self::TransferEncodingInHttp10 => "`transfer-encoding` is not allowed in HTTP/1.0",
            Self::ChunkSize => "the size of a chunk is malformed",
            Self::ChunkSizeTooLong => "the size of a chunk has too many digits",
            Self::ChunkExtension => "the extension of a chunk is malformed",
            Self::ChunkLineTooLong => "the line in front of a chunk is too long",
            Self::ChunkEnd => "the data of a chunk is not followed by CRLF",
            Self::TrailersTooLarge => "the trailer section is too large",
        }
    }

    /// Returns the section of the standard that the decision rests on: `RFC 9112, section 2.2`.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::EmptyLines | Self::BareLf | Self::BareCr => "RFC 9112, section 2.2",
            Self::RequestLine | Self::MethodTooLong | Self::TargetTooLong => "RFC 9112, section 3",
            Self::Method => "RFC 9112, section 3.1",
            Self::Target | Self::TargetForm | Self::HostMissing | Self::HostRepeated => {
                "RFC 9112, section 3.2"
            }
            Self::TargetScheme | Self::TargetAuthority => "RFC 9110, section 4.2",
            Self::Version => "RFC 9112, section 2.3",
            Self::UnsupportedVersion => "RFC 9110, section 15.6.6",
            Self::FieldName => "RFC 9112, section 5",
            Self::BlankBeforeColon => "RFC 9112, section 5.1",
            Self::FieldValue => "RFC 9110, section 5.5",
            Self::FoldedLine => "RFC 9112, section 5.2",
            Self::FieldTooLong
            | Self::TooManyFields
            | Self::FieldsTooLarge
            | Self::TrailersTooLarge => "RFC 6585, section 5",
            Self::Host => "RFC 9110, section 7.2",
            Self::ContentLength | Self::ContentLengthConflict | Self::TransferEncoding => {
                "RFC 9112, section 6.3"
            }
            Self::ContentLengthTooLarge => "RFC 9110, section 8.6",
            Self::TransferCoding | Self::TransferEncodingInHttp10 => "RFC 9112, section 6.1",
            Self::ChunkSize | Self::ChunkSizeTooLong | Self::ChunkEnd => "RFC 9112, section 7.1",
            Self::ChunkExtension | Self::ChunkLineTooLong => "RFC 9112, section 7.1.1",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason(), self.section())
    }
}

impl Error for DecodeError {}
