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

/// Defines the builder methods `header` and `set_header` of a type with header fields, with the
/// bounds and the meaning that they have for every event.
///
/// The arguments are a name for the builder and an expression for its [`HeaderMap`](http::HeaderMap).
///
/// ```
/// use http::HeaderMap;
///
/// #[derive(Default)]
/// struct Draft {
///     fields: HeaderMap,
/// }
///
/// impl Draft {
///     callgate::header_methods!(draft => draft.fields);
/// }
///
/// let draft = Draft::default().header("vary", "accept").set_header("vary", "cookie");
/// assert_eq!(draft.fields["vary"], "cookie");
/// ```
#[macro_export]
macro_rules! header_methods {
    ($builder:ident => $headers:expr) => {
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
            let $builder = &mut self;
            $headers.append(name.into_header_name(), value.into_header_value());
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
            let $builder = &mut self;
            $headers.insert(name.into_header_name(), value.into_header_value());
            self
        }
    };
}
