//! The trailer fields of a response: those of several events go out together.

use callgate::SendError;
use http::{HeaderMap, HeaderName, HeaderValue};

/// How much all trailer fields of a response may take, in bytes.
const LIMIT: usize = 64 * 1024;

/// What a field counts for beyond its name and its value, as in HTTP/2 (RFC 9113, 6.5.2).
const FIELD: usize = 32;

/// The trailer fields sent so far, while others follow.
#[derive(Debug, Default)]
pub(crate) struct Trailers {
    fields: HeaderMap,
    size: usize,
}

impl Trailers {
    /// Checks that there is room for `fields` as well.
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

    /// Adds `fields`, repeated ones separately.
    pub(crate) fn append(&mut self, fields: HeaderMap) {
        self.size += size(&fields);
        let mut name = None;
        for (next, value) in fields {
            // Further values of a field come without its name.
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
