//! What can be the name or the value of a header field.

use std::fmt;

use http::header::{HeaderName, HeaderValue};

/// A type that can be the name of a header field.
pub trait IntoHeaderName {
    /// Converts into the name.
    ///
    /// # Panics
    ///
    /// When it cannot be the name of a header field.
    fn into_header_name(self) -> HeaderName;
}

impl<N> IntoHeaderName for N
where
    N: TryInto<HeaderName, Error: fmt::Debug>,
{
    fn into_header_name(self) -> HeaderName {
        self.try_into().expect("a valid header name")
    }
}

/// A type that can be the value of a header field.
pub trait IntoHeaderValue {
    /// Converts into the value.
    ///
    /// # Panics
    ///
    /// When it cannot be the value of a header field.
    fn into_header_value(self) -> HeaderValue;
}

impl<V> IntoHeaderValue for V
where
    V: TryInto<HeaderValue, Error: fmt::Debug>,
{
    fn into_header_value(self) -> HeaderValue {
        self.try_into().expect("a valid header value")
    }
}
