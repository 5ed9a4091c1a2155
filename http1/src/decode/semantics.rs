//! The meaning of fields for their message and its connection.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Version};

use super::field_line::is_token;
use super::field_name;
use super::places::FieldPlace;
use super::{DecodeError, Expectation, authority};
use crate::Persistence;

/// How the content of a message ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no content.
    None,
    /// After so many octets, which are not 0.
    Length(u64),
    /// With the last chunk.
    Chunked,
}

/// The meaning of the fields of a head, gathered while the fields are added to the map.
#[derive(Debug, Default)]
pub(super) struct Semantics {
    has_host: bool,
    length: Option<u64>,
    has_repeated_length: bool,
    transfer_encoding: Option<TransferEncoding>,
    closes: bool,
    keeps_alive: bool,
    has_upgrade_option: bool,
    /// Whether an `upgrade` field has a protocol.
    offers_protocol: bool,
    expectation: Expectation,
}

impl Semantics {
    /// Adds a field to the map. The field is at `place` in `head`, and its value shares the memory.
    #[inline]
    pub(super) fn append(
        &mut self,
        headers: &mut HeaderMap,
        head: &Bytes,
        place: FieldPlace,
    ) -> Result<(), DecodeError> {
        let (name, value) = parse_field(head, place)?;
        match name {
            header::HOST => {
                if self.has_host {
                    return Err(DecodeError::HostRepeated);
                }
                self.has_host = true;
                authority::parse(value.as_bytes()).ok_or(DecodeError::Host)?;
            }
            header::CONNECTION => self.read_connection(value.as_bytes()),
            header::CONTENT_LENGTH => self.read_content_length(value.as_bytes())?,
            header::TRANSFER_ENCODING => self.read_transfer_encoding(value.as_bytes())?,
            header::UPGRADE => {
                self.offers_protocol |= elements(value.as_bytes()).any(|it| !it.is_empty());
            }
            header::EXPECT => self.read_expect(value.as_bytes()),
            _ => {}
        }
        match headers.try_append(name, value) {
            Ok(_) => Ok(()),
            Err(_) => Err(DecodeError::TooManyFields),
        }
    }

    /// Decides how the content ends (RFC 9112, sections 6.1 and 6.3). A length that is given more
    /// than once is replaced by one (RFC 9110, section 8.6). A length beside `transfer-encoding` is
    /// removed, and the connection is closed after the response (RFC 9112, section 6.1).
    #[inline]
    pub(super) fn framing(
        &mut self,
        version: Version,
        headers: &mut HeaderMap,
    ) -> Result<Framing, DecodeError> {
        if let Some(transfer_encoding) = self.transfer_encoding {
            if self.length.is_some() {
                headers.remove(header::CONTENT_LENGTH);
                self.closes = true;
            }
            return match transfer_encoding {
                _ if version == Version::HTTP_10 => Err(DecodeError::TransferEncodingInHttp10),
                TransferEncoding::Chunked => Ok(Framing::Chunked),
                TransferEncoding::OtherThenChunked => Err(DecodeError::TransferCoding),
                TransferEncoding::Other => Err(DecodeError::TransferEncoding),
            };
        }
        let Some(length) = self.length else {
            return Ok(Framing::None);
        };
        if self.has_repeated_length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(match length {
            0 => Framing::None,
            length => Framing::Length(length),
        })
    }

    /// Checks that a request of HTTP/1.1 has a `host` field (RFC 9112, section 3.2).
    #[inline]
    pub(super) fn check_host(&self, version: Version) -> Result<(), DecodeError> {
        if self.has_host || version == Version::HTTP_10 {
            Ok(())
        } else {
            Err(DecodeError::HostMissing)
        }
    }

    /// Decides whether the client keeps the connection (RFC 9112, section 9.3).
    #[inline]
    pub(super) fn persistence(&self, version: Version) -> Persistence {
        if !self.closes && (self.keeps_alive || version == Version::HTTP_11) {
            Persistence::KeepAlive
        } else {
            Persistence::Close
        }
    }

    /// Decides what the client expects (RFC 9110, section 10.1.1).
    #[inline]
    pub(super) fn expectation(&self, version: Version, framing: Framing) -> Expectation {
        match self.expectation {
            _ if version == Version::HTTP_10 => Expectation::None,
            Expectation::Continue if framing == Framing::None => Expectation::None,
            expectation => expectation,
        }
    }

    /// Decides whether the client offers another protocol (RFC 9110, section 7.8).
    #[inline]
    pub(super) fn offers_upgrade(&self, version: Version) -> bool {
        self.offers_protocol && self.has_upgrade_option && version == Version::HTTP_11
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keeps_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.has_upgrade_option = true;
            }
        }
    }

    fn read_expect(&mut self, value: &[u8]) {
        for expectation in elements(value).filter(|element| !element.is_empty()) {
            let is_continue = expectation.eq_ignore_ascii_case(b"100-continue");
            self.expectation = match self.expectation {
                Expectation::Unknown => Expectation::Unknown,
                _ if is_continue => Expectation::Continue,
                _ => Expectation::Unknown,
            };
        }
    }

    fn read_content_length(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        for element in elements(value) {
            let length = parse_length(element)?;
            match self.length {
                None => self.length = Some(length),
                Some(first) if first == length => self.has_repeated_length = true,
                Some(_) => return Err(DecodeError::ContentLengthConflict),
            }
        }
        Ok(())
    }

    fn read_transfer_encoding(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        for coding in elements(value) {
            let (name, has_parameters) = match coding.iter().position(|octet| *octet == b';') {
                Some(end) => (coding[..end].trim_ascii_end(), true),
                None => (coding, false),
            };
            let is_chunked = name.eq_ignore_ascii_case(b"chunked");
            self.transfer_encoding = match self.transfer_encoding {
                _ if !is_token(name) || is_chunked && has_parameters => {
                    return Err(DecodeError::TransferEncoding);
                }
                None if is_chunked => Some(TransferEncoding::Chunked),
                Some(TransferEncoding::Other) if is_chunked => {
                    Some(TransferEncoding::OtherThenChunked)
                }
                None | Some(TransferEncoding::Other) => Some(TransferEncoding::Other),
                Some(TransferEncoding::Chunked | TransferEncoding::OtherThenChunked) => {
                    return Err(DecodeError::TransferEncoding);
                }
            };
        }
        Ok(())
    }
}

/// The codings of all `transfer-encoding` fields together.
#[derive(Clone, Copy, Debug)]
enum TransferEncoding {
    Chunked,
    OtherThenChunked,
    Other,
}

/// Returns the name and the value of a field. The field is at `place` in `section`, and its value
/// shares the memory.
#[inline]
pub(super) fn parse_field(
    section: &Bytes,
    place: FieldPlace,
) -> Result<(HeaderName, HeaderValue), DecodeError> {
    let name = field_name::parse(&section[place.name()])?;
    match HeaderValue::from_maybe_shared(section.slice(place.value())) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(DecodeError::FieldValue),
    }
}

/// Returns the elements of a list, empty ones too, without the blanks around them (RFC 9110, section
/// 5.6.1).
#[inline]
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii)
}

/// Parses a length: digits only (RFC 9110, section 8.6).
#[inline]
fn parse_length(octets: &[u8]) -> Result<u64, DecodeError> {
    if octets.is_empty() || !octets.iter().all(u8::is_ascii_digit) {
        return Err(DecodeError::ContentLength);
    }
    let digits = str::from_utf8(octets).map_err(|_| DecodeError::ContentLength)?;
    digits
        .parse()
        .map_err(|_| DecodeError::ContentLengthTooLarge)
}
