use std::fmt::Debug;

use http::{HeaderName, HeaderValue};

/// A value that names a header field: text, or a [`HeaderName`].
///
/// Implemented for every type that converts into a [`HeaderName`].
pub trait IntoHeaderName {
    /// Returns the name.
    ///
    /// # Panics
    ///
    /// When the text is no token (RFC 9110, 5.6.2), so this is for names that the program knows.
    fn into_header_name(self) -> HeaderName;
}

impl<T: TryInto<HeaderName, Error: Debug>> IntoHeaderName for T {
    fn into_header_name(self) -> HeaderName {
        self.try_into().expect("a valid header name")
    }
}

/// A value of a header field: text, a number, or a [`HeaderValue`].
///
/// Implemented for every type that converts into a [`HeaderValue`].
pub trait IntoHeaderValue {
    /// Returns the value.
    ///
    /// # Panics
    ///
    /// When the text has a line break or another control character (RFC 9110, 5.5). Text that comes
    /// from elsewhere is converted with [`HeaderValue::try_from`] instead.
    fn into_header_value(self) -> HeaderValue;
}

impl<T: TryInto<HeaderValue, Error: Debug>> IntoHeaderValue for T {
    fn into_header_value(self) -> HeaderValue {
        self.try_into().expect("a valid header value")
    }
}

/// Defines the two methods that add header fields to an event with `headers`.
macro_rules! header_methods {
    () => {
        /// Appends a header field; fields of the same name stay.
        ///
        /// # Panics
        ///
        /// When the name or the value cannot be a header field.
        #[must_use]
        pub fn header(
            mut self,
            name: impl $crate::IntoHeaderName,
            value: impl $crate::IntoHeaderValue,
        ) -> Self {
            let (name, value) = (name.into_header_name(), value.into_header_value());
            self.headers.append(name, value);
            self
        }

        /// Sets a header field, in place of all of the same name.
        ///
        /// # Panics
        ///
        /// When the name or the value cannot be a header field.
        #[must_use]
        pub fn set_header(
            mut self,
            name: impl $crate::IntoHeaderName,
            value: impl $crate::IntoHeaderValue,
        ) -> Self {
            let (name, value) = (name.into_header_name(), value.into_header_value());
            self.headers.insert(name, value);
            self
        }
    };
}
pub(crate) use header_methods;
