//! Sections of field lines in a buffer that grows: the fields of a head, and trailers.

use std::ops::Range;

use memchr::memchr;

use super::DecodeError;
use super::field_line::check_field_line;

/// Finds the lines of a section. Each octet is searched once, however often the buffer grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// The octets before this index have been searched for LF.
    searched: usize,
    /// Where the line begins that has no end yet.
    start: usize,
    /// The number of lines found.
    found: usize,
}

impl Lines {
    /// Returns the next line of the buffer, its line end included, or `None` if it has no end yet.
    #[inline]
    pub(super) fn next(&mut self, input: &[u8]) -> Option<Range<usize>> {
        let Some(distance) = memchr(b'\n', input.get(self.searched..)?) else {
            self.searched = input.len();
            return None;
        };
        let end = self.searched + distance + 1;
        let line = self.start..end;
        self.searched = end;
        self.start = end;
        self.found += 1;
        Some(line)
    }

    /// Returns whether nothing has been searched.
    #[inline]
    pub(super) fn is_at_begin(&self) -> bool {
        self.searched == 0
    }

    /// Returns the number of lines found.
    #[inline]
    pub(super) fn found(&self) -> usize {
        self.found
    }

    /// Returns where the line begins that has no end yet.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }
}

/// What a section of field lines may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionRules {
    /// The index at which the field lines begin.
    pub(super) begin: usize,
    /// The length of one field line without its line end.
    pub(super) field: usize,
    /// The length of all field lines with their line ends.
    pub(super) section: usize,
    /// The number of lines before the empty line at the end, with a request line.
    pub(super) lines: usize,
    /// The error when the section is too large.
    pub(super) too_large: DecodeError,
    /// Whether a bare LF ends a line.
    pub(super) allow_bare_lf: bool,
}

impl SectionRules {
    /// Searches for the empty line that ends the section, and checks limits and line ends on the
    /// way. Returns the index behind the empty line, or `None` if it has not come.
    ///
    /// The error is not always the first in the section: [`check`](Self::check) finds the first.
    #[inline]
    pub(super) fn find_end(
        &self,
        lines: &mut Lines,
        input: &[u8],
    ) -> Result<Option<usize>, DecodeError> {
        while let Some(line) = lines.next(input) {
            let octets = &input[line.clone()];
            if self.is_empty_line(octets) {
                return Ok(Some(line.end));
            }
            self.check_limits(lines, &line)?;
            if !self.allow_bare_lf && !octets.ends_with(b"\r\n") {
                return Err(DecodeError::BareLf);
            }
        }
        Ok(None)
    }

    /// Checks all lines that `lines` has not found yet, in their order, and the beginning of the last
    /// line if it has no end.
    pub(super) fn check(&self, mut lines: Lines, input: &[u8]) -> Result<(), DecodeError> {
        while let Some(line) = lines.next(input) {
            let octets = &input[line.clone()];
            if self.is_empty_line(octets) {
                return Ok(());
            }
            self.check_limits(&lines, &line)?;
            check_field_line(octets, self.allow_bare_lf)?;
        }
        match &input[lines.start().min(input.len())..] {
            // The CR may begin the empty line at the end, which is not counted.
            b"\r" => Ok(()),
            _ => self.check_length(lines.start(), input.len()),
        }
    }

    #[inline]
    fn is_empty_line(&self, line: &[u8]) -> bool {
        line == b"\r\n" || self.allow_bare_lf && line == b"\n"
    }

    #[inline]
    fn check_limits(&self, lines: &Lines, line: &Range<usize>) -> Result<(), DecodeError> {
        self.check_length(line.start, line.end)?;
        if lines.found() > self.lines {
            return Err(DecodeError::TooManyFields);
        }
        Ok(())
    }

    /// Checks the length of a field line from `start` to `end`. A line that has no end yet ends with
    /// the buffer. Both ways the error is of the limit that the line exceeds first.
    #[inline]
    fn check_length(&self, start: usize, end: usize) -> Result<(), DecodeError> {
        let line_end = start.saturating_add(self.field).saturating_add(2);
        let section_end = self.begin.saturating_add(self.section);
        if end <= line_end && end <= section_end {
            Ok(())
        } else if line_end < section_end {
            Err(DecodeError::FieldTooLong)
        } else {
            Err(self.too_large)
        }
    }
}
