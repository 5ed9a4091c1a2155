use std::error::Error;
use std::fmt::{self, Debug};

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
    #[track_caller]
    fn into_header_name(self) -> HeaderName;
}

impl<T: TryInto<HeaderName, Error: Debug>> IntoHeaderName for T {
    #[track_caller]
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
    /// # Errors
    ///
    /// Fails if the value contains a line break or another control character (RFC 9110, 5.5).
    fn try_into_header_value(self) -> Result<HeaderValue, http::Error>;
}

impl<T: TryInto<HeaderValue, Error: Into<http::Error>>> IntoHeaderValue for T {
    fn try_into_header_value(self) -> Result<HeaderValue, http::Error> {
        self.try_into().map_err(Into::into)
    }
}

/// A header field whose value is not valid (RFC 9110, 5.5). The value is not part of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidHeaderField {
    name: HeaderName,
}

impl InvalidHeaderField {
    /// Returns the name of the field.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }
}

impl fmt::Display for InvalidHeaderField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the value of the field `{}` has a control character (RFC 9110, 5.5)",
            self.name
        )
    }
}

impl Error for InvalidHeaderField {}

/// Converts a value for the field of this name.
///
/// # Errors
///
/// Returns an error that names the field if the value is not valid.
pub fn try_header_value(
    name: &HeaderName,
    value: impl IntoHeaderValue,
) -> Result<HeaderValue, InvalidHeaderField> {
    let value = value.try_into_header_value();
    value.map_err(|_| InvalidHeaderField { name: name.clone() })
}

/// Converts a value for the field of this name.
///
/// # Panics
///
/// Panics with the name of the field if the value is not valid.
#[track_caller]
pub fn header_value(name: &HeaderName, value: impl IntoHeaderValue) -> HeaderValue {
    match try_header_value(name, value) {
        Ok(value) => value,
        Err(error) => panic!("{error}; `try_header` returns an error"),
    }
}

/// Defines the builder methods `header`, `set_header` and `try_header` of a type with header fields, with the
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
        /// Panics if the name or the value is not valid in a header field. For a value from outside the program there is
        /// [`try_header`](Self::try_header).
        #[must_use]
        #[track_caller]
        pub fn header(
            mut self,
            name: impl $crate::IntoHeaderName,
            value: impl $crate::IntoHeaderValue,
        ) -> Self {
            let $builder = &mut self;
            let name = name.into_header_name();
            let value = $crate::header_value(&name, value);
            $headers.append(name, value);
            self
        }

        /// Sets a header field and replaces all existing fields of the same name.
        ///
        /// # Panics
        ///
        /// Panics if the name or the value is not valid in a header field. For a value from outside the program there is
        /// [`try_header`](Self::try_header).
        #[must_use]
        #[track_caller]
        pub fn set_header(
            mut self,
            name: impl $crate::IntoHeaderName,
            value: impl $crate::IntoHeaderValue,
        ) -> Self {
            let $builder = &mut self;
            let name = name.into_header_name();
            let value = $crate::header_value(&name, value);
            $headers.insert(name, value);
            self
        }

        /// Appends a header field as [`header`](Self::header) does, with a value from outside the program.
        ///
        /// # Errors
        ///
        /// Returns an error that names the field if the value contains a line break or another control character
        /// (RFC 9110, 5.5).
        ///
        /// # Panics
        ///
        /// Panics if the name is not valid in a header field.
        #[track_caller]
        pub fn try_header(
            mut self,
            name: impl $crate::IntoHeaderName,
            value: impl $crate::IntoHeaderValue,
        ) -> ::std::result::Result<Self, $crate::InvalidHeaderField> {
            let $builder = &mut self;
            let name = name.into_header_name();
            let value = $crate::try_header_value(&name, value)?;
            $headers.append(name, value);
            Ok(self)
        }
    };
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::HttpResponseStart;

    #[test]
    fn a_value_that_is_not_valid_is_an_error_that_names_its_field() {
        let head = || HttpResponseStart::ok().header("vary", "accept");
        for value in ["a\r\nset-cookie: b", "\0", "\x7f"] {
            let error = head().try_header("x-user", value).unwrap_err();
            assert_eq!(error.name(), "x-user");
            assert_eq!(
                error.to_string(),
                "the value of the field `x-user` has a control character (RFC 9110, 5.5)"
            );
        }
        let head = head().try_header("vary", "cookie").unwrap();
        let fields: Vec<_> = head.headers.get_all("vary").iter().collect();
        assert_eq!(fields, ["accept", "cookie"]);
    }

    #[test]
    fn the_panic_of_a_value_that_is_not_valid_names_its_field() {
        type Method = fn(HttpResponseStart) -> HttpResponseStart;
        let methods: [Method; 2] = [
            |head| head.header("x-user", "a\nb"),
            |head| head.set_header("x-user", "a\nb"),
        ];
        for method in methods {
            let panic = catch_unwind(AssertUnwindSafe(|| method(HttpResponseStart::ok())));
            let message = *panic.unwrap_err().downcast::<String>().unwrap();
            assert!(
                message.starts_with("the value of the field `x-user`"),
                "{message}"
            );
        }
    }
}
