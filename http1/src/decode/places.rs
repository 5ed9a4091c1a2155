//! The places of the parts of a whole head.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::section::content_length;
use crate::{Config, Limits};

/// The places of the parts of a whole head in the read buffer. `httparse` returns references, which
/// would not let the head be taken out of the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadPlaces {
    /// The length of the head with the empty line at its end.
    pub(super) length: usize,
    /// The length of the method, with which the head begins.
    pub(super) method: usize,
    /// The length of the target, which begins behind the method and a space.
    pub(super) target: usize,
    /// The minor version: 0 or 1.
    pub(super) minor_version: u8,
    /// The number of fields.
    pub(super) field_count: usize,
}

/// The place of a field in its section.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldPlace {
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
}

impl FieldPlace {
    /// Returns the place of a field in a section that begins at this address. The section is
    /// shorter than 4 GiB.
    #[inline]
    pub(super) fn of(field: &httparse::Header<'_>, section: *const u8) -> Self {
        let place_of = |octets: &[u8]| octets.as_ptr().addr().wrapping_sub(section.addr()) as u32;
        Self {
            name: place_of(field.name.as_bytes()),
            name_length: field.name.len() as u32,
            value: place_of(field.value),
            value_length: field.value.len() as u32,
        }
    }

    #[inline]
    pub(super) fn name(self) -> Range<usize> {
        self.name as usize..(self.name + self.name_length) as usize
    }

    #[inline]
    pub(super) fn value(self) -> Range<usize> {
        self.value as usize..(self.value + self.value_length) as usize
    }
}

/// Parses the head at the beginning of `input`. `None` means that the head is not whole, has more
/// fields than there are places, has a malformed line, or exceeds a limit.
#[inline]
pub(super) fn find<const COUNT: usize>(
    input: &[u8],
    config: &Config,
    places: &mut [FieldPlace; COUNT],
) -> Option<HeadPlaces> {
    let mut fields = [const { MaybeUninit::uninit() }; COUNT];
    find_with(input, config, places, &mut fields)
}

/// Parses the head like [`find`], with memory for any number of fields.
#[cold]
pub(super) fn find_any_number(
    input: &[u8],
    config: &Config,
    places: &mut [FieldPlace],
) -> Option<HeadPlaces> {
    let mut fields = vec![MaybeUninit::uninit(); places.len()];
    find_with(input, config, places, &mut fields)
}

#[inline]
fn find_with<'a>(
    input: &'a [u8],
    config: &Config,
    places: &mut [FieldPlace],
    fields: &mut [MaybeUninit<httparse::Header<'a>>],
) -> Option<HeadPlaces> {
    let limits = &config.limits;
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(input, fields);
    let Ok(httparse::Status::Complete(length)) = parsed else {
        return None;
    };
    let (method, target) = (request.method?, request.path?);
    let head = &input[..length];
    let field_count = request.headers.len();
    let is_within = u32::try_from(length).is_ok()
        && method.len() <= limits.method
        && target.len() <= limits.longest_target()
        && field_count <= limits.most_fields();
    if !is_within || !(config.allow_bare_lf || head.ends_with(b"\r\n\r\n")) {
        return None;
    }
    for (field, place) in request.headers.iter().zip(&mut *places) {
        *place = FieldPlace::of(field, head.as_ptr());
    }
    let empty_line = if head.ends_with(b"\r\n") { 2 } else { 1 };
    let end = length - empty_line;
    let mut line_end = end;
    for place in places[..field_count].iter().rev() {
        let begin = place.name as usize;
        // `httparse` ends the line before with CRLF or with LF.
        let is_crlf = config.allow_bare_lf || head[begin - 2] == b'\r';
        if !is_crlf || content_length(&head[begin..line_end]) > limits.field {
            return None;
        }
        line_end = begin;
    }
    if end - line_end > Limits::longest_section(limits.fields) {
        return None;
    }
    Some(HeadPlaces {
        length,
        method: method.len(),
        target: target.len(),
        minor_version: request.version?,
        field_count,
    })
}
