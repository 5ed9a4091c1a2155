//! The fields of a response's head.

use bytes::{BufMut, BytesMut};
use http::header::{self, HeaderMap};

use super::{DefaultFields, EncodeError, FieldLines};

/// The meaning of the caller's fields for the framing and the connection.
#[derive(Debug, Default)]
pub(super) struct CallerFields {
    /// The value of `content-length`.
    pub(super) length: Option<u64>,
    /// Whether `connection` has the option `close`.
    pub(super) closes: bool,
    /// Whether there is a `connection` field, or an `upgrade` field, which needs one.
    has_options: bool,
}

impl CallerFields {
    /// Writes the caller's fields but those that the encoder decides on, and the default fields that
    /// the caller has not. Returns what the caller's fields say.
    #[inline]
    pub(super) fn write(
        headers: &HeaderMap,
        defaults: DefaultFields<'_>,
        output: &mut BytesMut,
    ) -> Result<Self, EncodeError> {
        let mut fields = Self::default();
        let mut date = defaults.date;
        let mut has_default = false;
        for (name, value) in headers {
            match *name {
                header::CONTENT_LENGTH => {
                    fields.read_length(value.as_bytes())?;
                    continue;
                }
                header::CONNECTION => {
                    fields.has_options = true;
                    fields.closes |= options(value.as_bytes()).any(|it| is(it, "close"));
                    continue;
                }
                header::TRANSFER_ENCODING => continue,
                header::UPGRADE => fields.has_options = true,
                header::DATE => date = None,
                _ => {}
            }
            has_default |= defaults.lines.is_some_and(|lines| lines.has(name));
            write(output, name.as_str(), value.as_bytes());
        }
        match defaults.lines {
            Some(lines) if has_default => lines.write_missing(headers, output),
            Some(lines) => lines.write_all(output),
            None => {}
        }
        if let Some(date) = date
            && !defaults.lines.is_some_and(FieldLines::has_date)
        {
            output.extend_from_slice(date.line());
        }
        Ok(fields)
    }

    fn read_length(&mut self, value: &[u8]) -> Result<(), EncodeError> {
        let length = parse_length(value)?;
        if self.length.is_some_and(|first| first != length) {
            return Err(EncodeError::MalformedContentLength);
        }
        self.length = Some(length);
        Ok(())
    }

    /// Writes the `connection` field: the option that the encoder has decided on, the caller's
    /// other options, and `upgrade` if there is an `upgrade` field (RFC 9110, section 7.8).
    #[inline]
    pub(super) fn write_connection(
        &self,
        headers: &HeaderMap,
        decided: Option<&str>,
        output: &mut BytesMut,
    ) {
        if self.has_options {
            write_options(headers, decided, output);
        } else if let Some(option) = decided {
            write(output, "connection", option.as_bytes());
        }
    }
}

#[cold]
fn write_options(headers: &HeaderMap, decided: Option<&str>, output: &mut BytesMut) {
    const DECIDED: [&str; 3] = ["close", "keep-alive", "upgrade"];
    let upgrade = headers.contains_key(header::UPGRADE).then_some("upgrade");
    let others = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .flat_map(|value| options(value.as_bytes()))
        .filter(|option| !option.is_empty() && !DECIDED.iter().any(|name| is(option, name)));
    let mut separator: &[u8] = b"connection: ";
    for option in decided
        .into_iter()
        .chain(upgrade)
        .map(str::as_bytes)
        .chain(others)
    {
        output.extend_from_slice(separator);
        output.extend_from_slice(option);
        separator = b", ";
    }
    if separator == b", " {
        output.extend_from_slice(b"\r\n");
    }
}

/// Writes a field line.
#[inline]
pub(super) fn write(output: &mut BytesMut, name: &str, value: &[u8]) {
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(b": ");
    output.extend_from_slice(value);
    output.extend_from_slice(b"\r\n");
}

/// Writes a number in decimal digits.
#[inline]
pub(super) fn write_number(output: &mut BytesMut, number: u64) {
    let mut digits = [0; 20];
    let mut begin = digits.len();
    let mut rest = number;
    loop {
        begin -= 1;
        digits[begin] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    output.put_slice(&digits[begin..]);
}

fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii)
}

fn is(option: &[u8], name: &str) -> bool {
    option.eq_ignore_ascii_case(name.as_bytes())
}

fn parse_length(value: &[u8]) -> Result<u64, EncodeError> {
    let digits = str::from_utf8(value).ok();
    let digits = digits.filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok());
    length.ok_or(EncodeError::MalformedContentLength)
}
