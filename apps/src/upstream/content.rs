//! The content of a response, as it arrives.

use bytes::Bytes;

use super::Error;

/// The largest content of a response, in bytes.
pub(super) const MAX_CONTENT: usize = 4 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Content(Vec<u8>);

impl Content {
    /// Adds a part.
    ///
    /// # Errors
    ///
    /// Returns [`Error::TooLarge`].
    pub(super) fn push(&mut self, part: &[u8]) -> Result<(), Error> {
        if self.0.len() + part.len() > MAX_CONTENT {
            return Err(Error::TooLarge);
        }
        self.0.extend_from_slice(part);
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}
