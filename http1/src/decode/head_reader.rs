//! Reads heads.

use std::mem;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use http::{HeaderMap, Method, Version};

use super::head::RequestHead;
use super::places::{self, FieldPlace, HeadPlaces, LONGEST_SECTION};
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
    #[inline]
    pub(super) fn read(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<(RequestHead, Framing)>, DecodeError> {
        if self.lines.start() == 0 {
            self.skip_empty_lines(input)?;
        }
        if self.lines.is_at_begin() {
            let mut fields = [FieldPlace::default(); FEW_FIELDS];
            if let Some(head) = places::find(input, &self.config, &mut fields) {
                return self
                    .take(input, &head, &fields[..head.field_count])
                    .map(Some);
            }
        }
        self.read_by_lines(input)
    }

    /// Reads a head of which not all octets have come at once, or of which the error is to be found,
    /// or that has many fields.
    fn read_by_lines(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<(RequestHead, Framing)>, DecodeError> {
        let unchecked = self.lines;
        let end = match self.find_end(input) {
            Ok(Some(end)) => end,
            // A malformed line is refused before the others have come, and the first error of a head
            // is its error.
            result => {
                self.check_lines(unchecked, input)?;
                return result.map(|_| None);
            }
        };
        let mut fields = vec![FieldPlace::default(); self.lines.found() - 2];
        match places::find_any_number(&input[..end], &self.config, &mut fields) {
            Some(head) => self.take(input, &head, &fields).map(Some),
            None => {
                self.check_lines(Lines::default(), input)?;
                Err(DecodeError::RequestLine)
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
            section: limits.fields.min(LONGEST_SECTION / 2),
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
