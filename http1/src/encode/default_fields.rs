//! Fields that a server adds to its responses.

use std::ops::Range;

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName};

use super::Date;
use super::head_fields::write;

/// The fields that a server adds to a response. A field is not added if the response has one of the
/// same name.
///
/// ```
/// use std::time::SystemTime;
///
/// use callgate_http1::{Date, DefaultFields, FieldLines};
/// use http::HeaderMap;
/// use http::header::{HeaderValue, SERVER};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(SERVER, HeaderValue::from_static("example"));
/// let lines = FieldLines::from(&headers);
/// let date = Date::at(SystemTime::now());
/// let defaults = DefaultFields {
///     date: Some(&date),
///     lines: Some(&lines),
/// };
/// # let _ = defaults;
/// ```
///
/// A server that adds only a date has `DefaultFields::from(&date)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultFields<'a> {
    /// The `date` field.
    pub date: Option<&'a Date>,
    /// Other fields.
    pub lines: Option<&'a FieldLines>,
}

impl DefaultFields<'_> {
    /// No fields.
    pub const NONE: Self = Self {
        date: None,
        lines: None,
    };
}

impl<'a> From<&'a Date> for DefaultFields<'a> {
    fn from(date: &'a Date) -> Self {
        Self {
            date: Some(date),
            lines: None,
        }
    }
}

/// Fields that are encoded once, for many responses. They do not include `connection`,
/// `content-length`, `transfer-encoding` and `upgrade`, which belong to each response.
#[derive(Clone, Debug, Default)]
pub struct FieldLines {
    lines: Vec<u8>,
    /// Each name, and the place of its lines.
    names: Vec<(HeaderName, Range<usize>)>,
    has_date: bool,
}

impl From<&HeaderMap> for FieldLines {
    fn from(headers: &HeaderMap) -> Self {
        let mut lines = BytesMut::new();
        let mut names = Vec::new();
        for name in headers.keys().filter(|name| !belongs_to_response(name)) {
            let begin = lines.len();
            for value in headers.get_all(name) {
                write(&mut lines, name.as_str(), value.as_bytes());
            }
            names.push((name.clone(), begin..lines.len()));
        }
        Self {
            lines: lines.into(),
            names,
            has_date: headers.contains_key(header::DATE),
        }
    }
}

fn belongs_to_response(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION | header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::UPGRADE
    )
}

impl FieldLines {
    #[inline]
    pub(super) fn has_date(&self) -> bool {
        self.has_date
    }

    #[inline]
    pub(super) fn has(&self, name: &HeaderName) -> bool {
        self.names.iter().any(|(own, _)| own == name)
    }

    /// Writes all fields.
    #[inline]
    pub(super) fn write_all(&self, output: &mut BytesMut) {
        output.extend_from_slice(&self.lines);
    }

    /// Writes the fields of which `headers` has none of the name.
    #[cold]
    pub(super) fn write_missing(&self, headers: &HeaderMap, output: &mut BytesMut) {
        for (name, place) in &self.names {
            if !headers.contains_key(name) {
                output.extend_from_slice(&self.lines[place.clone()]);
            }
        }
    }
}
