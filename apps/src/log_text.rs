//! The text of an error for the log, with its causes.

use std::error::Error;
use std::iter::successors;

/// Returns the text of `error` followed by those of its causes, separated by colons.
///
/// A cause is left out where the text before it already ends with it: some errors include their
/// cause in their own text.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    successors(error.source(), |&cause| cause.source()).fold(error.to_string(), |text, cause| {
        match cause.to_string() {
            cause if text.ends_with(&cause) => text,
            cause => format!("{text}: {cause}"),
        }
    })
}

/// Returns the texts of the causes of `error`, separated by colons; `None` if it has no cause.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> Option<String> {
    error.source().map(with_causes)
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    /// An error with a cause, which may be part of its own text.
    #[derive(Debug)]
    struct Outer {
        text: &'static str,
        cause: io::Error,
    }

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.text)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.cause)
        }
    }

    #[test]
    fn every_cause_is_named_once() {
        let refused = || io::Error::other("connection refused");
        let inner = Outer {
            text: "cannot connect",
            cause: refused(),
        };
        // An `io::Error` has the text of the error that it was made from, and that one's source.
        let outer = Outer {
            text: "no answer",
            cause: io::Error::other(inner),
        };
        let text = "no answer: cannot connect: connection refused";
        assert_eq!(with_causes(&outer), text);
        let causes_of_outer = causes(&outer);
        assert_eq!(
            causes_of_outer.unwrap(),
            "cannot connect: connection refused"
        );
        let repeating = Outer {
            text: "cannot connect: connection refused",
            cause: refused(),
        };
        assert_eq!(
            with_causes(&repeating),
            "cannot connect: connection refused"
        );
        assert_eq!(causes(&fmt::Error), None);
    }
}
