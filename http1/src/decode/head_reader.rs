//! The reading of heads, whole or piece by piece.

use std::mem;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use http::{HeaderMap, Method, Version};

use super::head::RequestHead;
use super::places::{self, FieldPlace, HeadPlaces};
use super::request_line::{
    check_begun_request_line, check_request_line, read_minor_version_as_one,
};
use super::section::{Lines, SectionRules};
use super::semantics::{Framing, Semantics};
use super::{DecodeError, target};
use crate::{Config, Limits};

/// How many empty lines may precede a request line (RFC 9112, section 2.2).
const EMPTY_LINES: u8 = 2;

/// How many fields are read without an allocation for their places.
const FEW_FIELDS: usize = 32;

/// The capacity of the largest map of which the memory is kept for the next request.
const REUSED_CAPACITY: usize = 24;

/// Reads one head after another.
#[derive(Debug)]
pub(super) struct HeadReader {
    config: Arc<Config>,
    lines: Lines,
    empty_lines: u8,
    /// The begin of the field lines; 0 while the request line has no end.
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
    #[inline]
    pub(super) fn read(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<(RequestHead, Framing)>, DecodeError> {
        if self.lines.is_at_begin() {
            if !self.skip_empty_lines(input)? {
                return Ok(None);
            }
            let mut fields = [FieldPlace::default(); FEW_FIELDS];
            if let Some(head) = places::find(input, &self.config, &mut fields) {
                return self
                    .take(input, &head, &fields[..head.field_count])
                    .map(Some);
            }
        }
        self.read_by_lines(input)
    }

    /// Reads a head that does not come at once, has many fields, or is refused.
    fn read_by_lines(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<(RequestHead, Framing)>, DecodeError> {
        let unchecked = self.lines;
        let Some(end) = self.find_end(input) else {
            // A malformed line is refused before the others have come.
            self.check_lines(unchecked, input)?;
            return Ok(None);
        };
        let mut fields = vec![FieldPlace::default(); self.lines.found() - 2];
        match places::find_any_number(&input[..end], &self.config, &mut fields) {
            Some(head) => self.take(input, &head, &fields).map(Some),
            None => {
                self.check_lines(unchecked, input)?;
                Err(DecodeError::RequestLine)
            }
        }
    }

    /// Takes the empty lines away that may precede a request line. Returns whether more has come
    /// than they.
    #[inline]
    fn skip_empty_lines(&mut self, input: &mut BytesMut) -> Result<bool, DecodeError> {
        loop {
            let length = match (input.first(), input.get(1)) {
                (Some(b'\n'), _) if self.config.allow_bare_lf => 1,
                (Some(b'\n'), _) => return Err(DecodeError::BareLf),
                (Some(b'\r'), Some(b'\n')) => 2,
                (Some(b'\r'), Some(_)) => return Err(DecodeError::BareCr),
                (None, _) | (Some(b'\r'), None) => return Ok(false),
                _ => return Ok(true),
            };
            if self.empty_lines == EMPTY_LINES {
                return Err(DecodeError::EmptyLines);
            }
            self.empty_lines += 1;
            input.advance(length);
        }
    }

    /// Searches for the empty line that ends the head. Returns the index behind it.
    fn find_end(&mut self, input: &mut BytesMut) -> Option<usize> {
        if self.fields_begin == 0 {
            let line = self.lines.next(input)?;
            self.fields_begin = line.end;
            read_minor_version_as_one(&mut input[line]);
        }
        self.lines.find_empty(input, self.config.allow_bare_lf)
    }

    #[inline]
    fn section_rules(&self) -> SectionRules {
        let limits = &self.config.limits;
        SectionRules {
            begin: self.fields_begin,
            field: limits.field,
            section: Limits::longest_section(limits.fields),
            lines: limits.most_fields() + 1,
            too_large: DecodeError::FieldsTooLarge,
            allow_bare_lf: self.config.allow_bare_lf,
        }
    }

    /// Checks the lines that `lines` has not found yet, in their order: the first error of a head
    /// is its error.
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
    fn take(
        &mut self,
        input: &mut BytesMut,
        places: &HeadPlaces,
        fields: &[FieldPlace],
    ) -> Result<(RequestHead, Framing), DecodeError> {
        let octets = input.split_to(places.length).freeze();
        let version = match places.minor_version {
            0 => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let method = &octets[..places.method];
        let method = Method::from_bytes(method).map_err(|_| DecodeError::Method)?;
        let target = places.method + 1..places.method + 1 + places.target;
        let grammar = self.config.target_grammar;
        let (target, target_form) = target::parse(&octets, target, &method, grammar)?;
        let mut headers = self.take_map(fields.len());
        let mut semantics = Semantics::default();
        for place in fields {
            semantics.append(&mut headers, &octets, *place)?;
        }
        let framing = semantics.framing(version, &mut headers)?;
        semantics.check_host(version)?;
        self.lines = Lines::default();
        self.empty_lines = 0;
        self.fields_begin = 0;
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
