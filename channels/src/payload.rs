//! The content of messages.

use bytes::Bytes;
use bytestring::ByteString;

/// The content of a message, or the data of a member: text or bytes. A clone shares the content.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Payload {
    /// Text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

impl Payload {
    /// Creates a text of JSON from a value.
    ///
    /// # Errors
    ///
    /// Returns the error of the value's `Serialize`.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(serde_json::to_string(value)?.into())
    }

    /// Reads a value from JSON.
    ///
    /// # Errors
    ///
    /// Returns why the content is not JSON of this type.
    #[cfg(feature = "json")]
    pub fn to_value<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.as_bytes())
    }

    /// Returns the content as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the content if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the content is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<ByteString> for Payload {
    fn from(text: ByteString) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<()> for Payload {
    /// Creates an empty text, for members without data.
    fn from((): ()) -> Self {
        Self::Text(ByteString::new())
    }
}
