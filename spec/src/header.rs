use std::fmt::Debug;

use http::{HeaderName, HeaderValue};

/// A conversion into a header name, for example from text.
///
/// This trait is implemented for every type that converts into a [`HeaderName`].
pub trait IntoHeaderName {
    /// Converts this value into a [`HeaderName`].
    ///
    /// # Panics
    ///
    /// Panics if the text is not a token (RFC 9110, 5.6.2). This method is for names that the
    /// program defines itself.
    fn into_header_name(self) -> HeaderName;
}

impl<T: TryInto<HeaderName, Error: Debug>> IntoHeaderName for T {
    fn into_header_name(self) -> HeaderName {
        self.try_into().expect("a valid header name")
    }
}

/// A conversion into a header value, for example from text or from a number.
///
/// This trait is implemented for every type that converts into a [`HeaderValue`].
pub trait IntoHeaderValue {
    /// Converts this value into a [`HeaderValue`].
    ///
    /// # Panics
    ///
    /// Panics if the text contains a line break or another control character (RFC 9110, 5.5). For
    /// text from outside the program, use [`HeaderValue::try_from`] instead.
    fn into_header_value(self) -> HeaderValue;
}

impl<T: TryInto<HeaderValue, Error: Debug>> IntoHeaderValue for T {
    fn into_header_value(self) -> HeaderValue {
        self.try_into().expect("a valid header value")
    }
}

/// Defines the two methods that add header fields to an event with the field `headers`.
macro_rules! header_methods {
    () => {
        /// Appends a header field. Existing fields of the same name remain.
        ///
        /// # Panics
        ///
        /// Panics if the name or the value is not valid in a header field.
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

        /// Sets a header field and replaces all existing fields of the same name.
        ///
        /// # Panics
        ///
        /// Panics if the name or the value is not valid in a header field.
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
