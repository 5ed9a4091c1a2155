//! Reads heads.

use std::mem::{self, MaybeUninit};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Version};

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

/// The capacity of the largest map of which the memory is kept for the next request.
const REUSED_CAPACITY: usize = 24;

/// Reads one head after another.
#[derive(Debug)]
pub(super) struct HeadReader {
    config: Arc<Config>,
    lines: Lines,
    empty_lines: u8,
    /// Where the field lines begin; 0 while the request line has no end.
    fields_begin: usize,
    /// An empty map, of which the memory is for the next head.
    headers: HeaderMap,
}

impl HeadReader {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            lines: Lines::default(),
            empty_lines: 0,
            fields_begin: 0,
            headers: HeaderMap::new(),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    #[inline]
    pub(super) fn reuse(&mut self, mut headers: HeaderMap) {
        if headers.capacity() <= REUSED_CAPACITY {
            headers.clear();
            self.headers = headers;
        }
    }

    /// Reads a head from the beginning of `input`, and takes it out if it is whole.
    pub(super) fn read(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<(RequestHead, Framing)>, DecodeError> {
        if self.lines.start() == 0 {
            self.skip_empty_lines(input)?;
        }
        let unchecked = self.lines;
        match self.find_end(input) {
            Ok(Some(end)) => self.complete(input, end).map(Some),
            // A malformed line is refused before the others have come, and the first error of a head
            // is its error.
            result => {
                self.check_lines(unchecked, input)?;
                result.map(|_| None)
            }
        }
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
    #[inline]
    fn complete(
        &mut self,
        input: &mut BytesMut,
        end: usize,
    ) -> Result<(RequestHead, Framing), DecodeError> {
        let field_count = self.lines.found() - 2;
        let octets = input.split_to(end).freeze();
        let parsed = if field_count <= FIELDS_ON_STACK {
            let mut fields = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
            self.parse(&octets, field_count, &mut fields)
        } else {
            let mut fields = vec![MaybeUninit::uninit(); field_count];
            self.parse(&octets, field_count, &mut fields)
        };
        let Some(parsed) = parsed else {
            self.check_lines(Lines::default(), &octets)?;
            return Err(DecodeError::RequestLine);
        };
        self.lines = Lines::default();
        self.empty_lines = 0;
        self.fields_begin = 0;
        parsed
    }

    /// Parses a whole head. `None` means that a line is malformed or that a part of the request line
    /// is too long.
    #[inline]
    fn parse<'a>(
        &mut self,
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
        &mut self,
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
        let mut headers = self.take_map(fields.len());
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

    /// Returns an empty map with room for so many fields.
    #[inline]
    fn take_map(&mut self, field_count: usize) -> HeaderMap {
        if self.headers.capacity() < field_count {
            HeaderMap::with_capacity(field_count)
        } else {
            mem::take(&mut self.headers)
        }
    }
}
