//! The trailer fields of a response. Those of several events are sent together.

use callgate::SendError;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The limit of all trailer fields of a response, in bytes.
const LIMIT: usize = 64 * 1024;

/// The size of a field besides its name and its value, as in HTTP/2 (RFC 9113, 6.5.2).
const FIELD: usize = 32;

/// The trailer fields that have been sent, while more are to follow.
#[derive(Debug, Default)]
pub(crate) struct Trailers {
    fields: HeaderMap,
    size: usize,
}

impl Trailers {
    /// Checks that there is room for `fields` in addition.
    ///
    /// # Errors
    ///
    /// [`SendError::TrailersTooLarge`].
    pub(crate) fn check(&self, fields: &HeaderMap) -> Result<(), SendError> {
        if self.size + size(fields) <= LIMIT {
            Ok(())
        } else {
            Err(SendError::TrailersTooLarge { limit: LIMIT })
        }
    }

    /// Adds `fields`. Repeated fields stay separate.
    pub(crate) fn append(&mut self, fields: HeaderMap) {
        self.size += size(&fields);
        let mut name = None;
        for (next, value) in fields {
            // The iterator yields the name of a field with its first value only.
            name = next.or(name);
            if let Some(name) = &name {
                self.fields.append(name, value);
            }
        }
    }

    pub(crate) fn into_fields(self) -> HeaderMap {
        self.fields
    }
}

fn size(fields: &HeaderMap) -> usize {
    let of_field =
        |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + FIELD;
    fields.iter().map(of_field).sum()
}
