//! Reads the heads of requests.

use std::mem::MaybeUninit;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Version};

use super::content_decoder::ContentDecoder;
use super::head::RequestHead;
use super::request_line::{
    check_begun_request_line, check_request_line, read_minor_version_as_one,
};
use super::section::{Lines, SectionRules};
use super::semantics::{Framing, Semantics};
use super::{DecodeError, target};
use crate::Config;

/// How many empty lines may precede a request line (RFC 9112, section 2.2).
const EMPTY_LINES: u8 = 2;

/// How many fields a `HeaderMap` holds.
pub(super) const MAX_FIELD_COUNT: usize = 24 * 1024;

/// How many field lines are read without an allocation for their places.
const FIELDS_ON_STACK: usize = 64;

/// Reads the head of the next request from a connection's read buffer.
///
/// A decoder is moved by each call and comes back in what the call returns, so that a call which the
/// protocol forbids cannot be written: while content comes, there is a [`ContentDecoder`] and no
/// `HeadDecoder`, and after an error there is neither.
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
    config: Arc<Config>,
    lines: Lines,
    empty_lines: u8,
    /// Where the field lines begin; 0 while the request line has no end.
    fields_begin: usize,
}

/// What [`HeadDecoder::decode`] returns.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the value is matched at once, and a box would be an allocation for each request"
)]
pub enum DecodedHead {
    /// The read buffer has no whole head. The caller reads more octets and decodes again.
    Incomplete(HeadDecoder),
    /// The head, and what the octets behind the head are.
    Complete(RequestHead, Next),
}

/// What the octets behind the head of a request are.
///
/// After a change of protocol (a 101, or a 2xx to CONNECT), the octets behind the request belong to
/// the other protocol. No decoder touches them before it is called: the server drops the decoder and
/// has the octets in its read buffer.
#[derive(Debug)]
pub enum Next {
    /// The request has no content: the next request.
    Head(HeadDecoder),
    /// The content of the request.
    Content(ContentDecoder),
}

impl HeadDecoder {
    /// Creates the decoder of a connection, which has all its settings. Many connections share one
    /// configuration.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        Self {
            config: config.into(),
            lines: Lines::default(),
            empty_lines: 0,
            fields_begin: 0,
        }
    }

    /// Reads a head from the beginning of `input`, and takes it out if it is whole.
    ///
    /// After [`DecodedHead::Incomplete`], the next call must have the same octets in `input`, with
    /// more appended. No octet is searched twice, so that octets may come one at a time.
    ///
    /// # Errors
    ///
    /// Returns why the head is refused. Which error it is does not depend on how the octets are cut
    /// into pieces.
    pub fn decode(mut self, input: &mut BytesMut) -> Result<DecodedHead, DecodeError> {
        if self.lines.start() == 0 {
            self.skip_empty_lines(input)?;
        }
        let unchecked = self.lines;
        match self.find_end(input) {
            Ok(Some(end)) => self.complete(input, end),
            Ok(None) => {
                self.check_lines(unchecked, input)?;
                Ok(DecodedHead::Incomplete(self))
            }
            // A line before the one that exceeds a limit may be malformed.
            Err(error) => {
                self.check_lines(unchecked, input)?;
                Err(error)
            }
        }
    }

    /// Returns how many octets of `input` are the beginning of a head: 0 while nothing of the next
    /// request has come but the empty lines that may precede it.
    #[must_use]
    pub fn buffered(&self, input: &[u8]) -> usize {
        let is_line_end = |octet: &u8| matches!(octet, b'\r' | b'\n');
        let line_ends = input.iter().take_while(|octet| is_line_end(octet)).count();
        input.len() - line_ends
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes the empty lines away that may precede a request line.
    #[inline]
    fn skip_empty_lines(&mut self, input: &mut BytesMut) -> Result<(), DecodeError> {
        while let Some(first) = input.first() {
            let length = match (first, input.get(1)) {
                (b'\n', _) if self.config.allow_bare_lf => 1,
                (b'\n', _) => return Err(DecodeError::BareLf),
                (b'\r', Some(b'\n')) => 2,
                (b'\r', Some(_)) => return Err(DecodeError::BareCr),
                _ => return Ok(()),
            };
            if self.empty_lines == EMPTY_LINES {
                return Err(DecodeError::EmptyLines);
            }
            self.empty_lines += 1;
            self.lines = Lines::default();
            input.advance(length);
        }
        Ok(())
    }

    /// Searches for the end of the head, and checks limits and line ends on the way.
    #[inline]
    fn find_end(&mut self, input: &mut BytesMut) -> Result<Option<usize>, DecodeError> {
        if self.fields_begin == 0 {
            let Some(line) = self.lines.next(input) else {
                return Ok(None);
            };
            self.fields_begin = line.end;
            let line = &mut input[line];
            if !self.config.allow_bare_lf && !line.ends_with(b"\r\n") {
                return Err(DecodeError::BareLf);
            }
            read_minor_version_as_one(line);
        }
        self.section_rules().find_end(&mut self.lines, input)
    }

    #[inline]
    fn section_rules(&self) -> SectionRules {
        let limits = &self.config.limits;
        SectionRules {
            begin: self.fields_begin,
            field: limits.field,
            section: limits.fields,
            lines: limits.field_count.min(MAX_FIELD_COUNT) + 1,
            too_large: DecodeError::FieldsTooLarge,
            allow_bare_lf: self.config.allow_bare_lf,
        }
    }

    /// Checks the lines that `lines` has not found yet, in their order. A malformed line is refused
    /// without waiting for the end of the head, and the first error of a head is its error.
    #[cold]
    fn check_lines(&self, mut lines: Lines, input: &[u8]) -> Result<(), DecodeError> {
        if lines.start() == 0 {
            let Some(line) = lines.next(input) else {
                return check_begun_request_line(input, &self.config);
            };
            check_request_line(&input[line], &self.config)?;
        }
        self.section_rules().check(lines, input)
    }

    /// Takes a whole head out of `input`.
    fn complete(mut self, input: &mut BytesMut, end: usize) -> Result<DecodedHead, DecodeError> {
        let field_count = self.lines.found() - 2;
        let octets = input.split_to(end).freeze();
        let head = if field_count <= FIELDS_ON_STACK {
            let mut fields = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
            self.parse(&octets, field_count, &mut fields)
        } else {
            let mut fields = vec![MaybeUninit::uninit(); field_count];
            self.parse(&octets, field_count, &mut fields)
        };
        let Some(head) = head else {
            self.check_lines(Lines::default(), &octets)?;
            return Err(DecodeError::RequestLine);
        };
        let (head, framing) = head?;
        self.lines = Lines::default();
        self.empty_lines = 0;
        self.fields_begin = 0;
        let next = match framing {
            Framing::None => Next::Head(self),
            Framing::Length(length) => Next::Content(ContentDecoder::with_length(self, length)),
            Framing::Chunked => Next::Content(ContentDecoder::chunked(self)),
        };
        Ok(DecodedHead::Complete(head, next))
    }

    /// Parses a whole head. `None` means that a line is malformed or that a part of the request line
    /// is too long.
    #[inline]
    fn parse<'a>(
        &self,
        octets: &'a Bytes,
        field_count: usize,
        fields: &mut [MaybeUninit<httparse::Header<'a>>],
    ) -> Option<Result<(RequestHead, Framing), DecodeError>> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(octets, fields);
        let Ok(httparse::Status::Complete(length)) = parsed else {
            return None;
        };
        let (method, path, minor) = (request.method?, request.path?, request.version?);
        let limits = &self.config.limits;
        if length != octets.len()
            || request.headers.len() != field_count
            || method.len() > limits.method
            || path.len() > limits.target
        {
            return None;
        }
        Some(self.interpret(octets, method, path, minor, request.headers))
    }

    #[inline]
    fn interpret(
        &self,
        octets: &Bytes,
        method: &str,
        path: &str,
        minor: u8,
        fields: &[httparse::Header<'_>],
    ) -> Result<(RequestHead, Framing), DecodeError> {
        let version = match minor {
            0 => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| DecodeError::Method)?;
        let (target, target_form) =
            target::parse(octets, path, &method, self.config.target_grammar)?;
        let mut headers = HeaderMap::with_capacity(fields.len());
        let mut semantics = Semantics::default();
        for field in fields {
            semantics.append(&mut headers, octets, field)?;
        }
        let framing = semantics.framing(version, &mut headers)?;
        semantics.check_host(version)?;
        let head = RequestHead {
            method,
            target,
            target_form,
            version,
            persistence: semantics.persistence(version),
            expectation: semantics.expectation(version, framing),
            offers_upgrade: semantics.offers_upgrade(version),
            headers,
        };
        Ok((head, framing))
    }
}
