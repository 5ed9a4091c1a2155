//! The trailer section of chunked content (RFC 9112, section 7.1.2).

use bytes::BytesMut;
use http::HeaderMap;

use super::DecodeError;
use super::places::FieldPlace;
use super::section::{Lines, SectionRules};
use super::semantics::parse_field;
use crate::Limits;
use crate::fields::is_forbidden_in_trailers;

/// Reads a trailer section from the beginning of `input`, and takes it out if it is whole. `lines`
/// has the lines found so far.
pub(super) fn decode(
    lines: &mut Lines,
    input: &mut BytesMut,
    limits: &Limits,
) -> Result<Option<HeaderMap>, DecodeError> {
    let rules = SectionRules {
        begin: 0,
        field: limits.field,
        section: Limits::longest_section(limits.trailers),
        lines: limits.most_fields(),
        too_large: DecodeError::TrailersTooLarge,
        allow_bare_lf: false,
    };
    let unchecked = *lines;
    let end = lines.find_empty(input, rules.allow_bare_lf);
    rules.check(unchecked, input)?;
    let Some(end) = end else {
        return Ok(None);
    };
    let field_count = lines.found() - 1;
    let section = input.split_to(end).freeze();
    let mut trailers = HeaderMap::with_capacity(field_count);
    let mut fields = vec![httparse::EMPTY_HEADER; field_count];
    let Ok(httparse::Status::Complete((_, fields))) =
        httparse::parse_headers(&section, &mut fields)
    else {
        return Err(DecodeError::FieldName);
    };
    for field in fields {
        let place = FieldPlace::of(field, section.as_ptr());
        let (name, value) = parse_field(&section, place)?;
        if !is_forbidden_in_trailers(&name) {
            trailers
                .try_append(name, value)
                .map_err(|_| DecodeError::TooManyFields)?;
        }
    }
    Ok(Some(trailers))
}
