//! The trailer fields of a response: those of several events are given at once.

use callgate::SendError;
use http::HeaderMap;

/// How much all trailer fields of a response may take, in bytes, as [`SendError`] counts them.
const LIMIT: usize = 64 * 1024;

/// The trailer fields so far.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    fields: HeaderMap,
    size: usize,
}

impl Trailers {
    /// Whether there is room for `fields` as well.
    pub(super) fn check(&self, fields: &HeaderMap) -> Result<(), SendError> {
        if self.size + size(fields) > LIMIT {
            return Err(SendError::TrailersTooLarge { limit: LIMIT });
        }
        Ok(())
    }

    /// Adds `fields`, repeated ones separately.
    pub(super) fn append(&mut self, fields: HeaderMap) {
        self.size += size(&fields);
        let mut name = None;
        for (next, value) in fields {
            // Further values of a field come without its name.
            name = next.or(name);
            if let Some(name) = &name {
                self.fields.append(name.clone(), value);
            }
        }
    }

    pub(super) fn into_fields(self) -> HeaderMap {
        self.fields
    }
}

fn size(fields: &HeaderMap) -> usize {
    let fields = fields.iter();
    fields
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum()
}
