//! Content of any length, of which only the beginning is kept.

use std::hash::{DefaultHasher, Hasher as _};

use bytes::BytesMut;

/// The most that is kept, in bytes.
const MAX_KEPT: usize = 64 * 1024;

/// The beginning of a content, and a hash and the length of all of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContentPrefix {
    hasher: DefaultHasher,
    length: usize,
    kept: BytesMut,
}

impl ContentPrefix {
    pub(super) fn push(&mut self, part: &[u8]) {
        self.hasher.write(part);
        self.length += part.len();
        let room = MAX_KEPT - self.kept.len().min(MAX_KEPT);
        self.kept.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// Returns the bytes that are kept.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Returns the length of the whole content in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Returns whether both contents are equal.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.length == other.length && self.hasher.finish() == other.hasher.finish()
    }

    /// Returns whether the kept bytes are equal up to the end of the shorter content.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let shorter = self.kept.len().min(other.kept.len());
        self.kept[..shorter] == other.kept[..shorter]
    }
}
