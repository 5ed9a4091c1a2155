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
    /// The begin of the line that has no end yet.
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

    /// Searches for the next empty line. Returns the index behind it, or `None` if it has not come.
    #[inline]
    pub(super) fn find_empty(&mut self, input: &[u8], allow_bare_lf: bool) -> Option<usize> {
        loop {
            let line = self.next(input)?;
            if is_empty_line(&input[line.clone()], allow_bare_lf) {
                return Some(line.end);
            }
        }
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

/// The bounds of a section of field lines.
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
    /// Checks all lines that `lines` has not found yet, in their order, and the beginning of the
    /// last line if it has no end.
    pub(super) fn check(&self, mut lines: Lines, input: &[u8]) -> Result<(), DecodeError> {
        while let Some(line) = lines.next(input) {
            let octets = &input[line.clone()];
            if is_empty_line(octets, self.allow_bare_lf) {
                return Ok(());
            }
            self.check_limits(&lines, input, &line)?;
            check_field_line(octets, self.allow_bare_lf)?;
        }
        match &input[lines.start().min(input.len())..] {
            // The CR may begin the empty line at the end, which is not counted.
            b"\r" => Ok(()),
            _ => self.check_length(input, &(lines.start()..input.len())),
        }
    }

    fn check_limits(
        &self,
        lines: &Lines,
        input: &[u8],
        line: &Range<usize>,
    ) -> Result<(), DecodeError> {
        self.check_length(input, line)?;
        if lines.found() > self.lines {
            return Err(DecodeError::TooManyFields);
        }
        Ok(())
    }

    /// Checks the length of a field line. A line that has no end yet ends with the buffer. Both
    /// ways the error is of the limit that the line exceeds first.
    fn check_length(&self, input: &[u8], line: &Range<usize>) -> Result<(), DecodeError> {
        let section_end = self.begin.saturating_add(self.section);
        let field_end = line.start.saturating_add(self.field);
        let is_field_too_long = content_length(&input[line.clone()]) > self.field;
        let is_section_too_large = line.end > section_end;
        // A CR behind the longest field line is too much with the octet behind the CR.
        let excess = match input.get(field_end) {
            Some(b'\r') => field_end.saturating_add(2),
            _ => field_end.saturating_add(1),
        };
        if is_field_too_long && (!is_section_too_large || excess <= section_end + 1) {
            Err(DecodeError::FieldTooLong)
        } else if is_section_too_large {
            Err(self.too_large)
        } else {
            Ok(())
        }
    }
}

/// Returns the length of a line without its line end, or without the CR that may begin the line
/// end.
#[inline]
pub(super) fn content_length(line: &[u8]) -> usize {
    match line {
        [content @ .., b'\r', b'\n'] | [content @ .., b'\r' | b'\n'] => content.len(),
        content => content.len(),
    }
}

#[inline]
fn is_empty_line(line: &[u8], allow_bare_lf: bool) -> bool {
    line == b"\r\n" || allow_bare_lf && line == b"\n"
}
