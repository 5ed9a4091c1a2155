use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Feature;
use crate::rule::Rule;

/// The reason for which a call of an application ended without success.
///
/// The `?` operator converts every error into an `AppError`. A [`SendError`] keeps its variant.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppError {
    /// The application does not serve this kind of scope (rule `CORE-02`). This is not a failure.
    Unsupported,
    /// A send failed, and the application returned the error.
    Send(SendError),
    /// The application failed for another reason.
    Failed(Box<dyn Error + Send + Sync>),
}

impl AppError {
    /// Creates an error from a text or from another error, boxed or not. A [`SendError`] keeps its
    /// variant.
    ///
    /// ```
    /// use callgate::AppError;
    ///
    /// fn find(id: u32) -> Result<(), AppError> {
    ///     Err(AppError::failed(format!("there is no order {id}")))
    /// }
    /// ```
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        match error.into().downcast::<SendError>() {
            Ok(error) => Self::Send(*error),
            Err(error) => Self::Failed(error),
        }
    }

    /// Returns whether the error states that the client is gone, which is not a failure (rule
    /// `CORE-10`). Also returns true if a [source](Error::source) of the error is
    /// [`SendError::Disconnected`].
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        let mut source: Option<&(dyn Error + 'static)> = match self {
            Self::Unsupported => None,
            Self::Send(error) => Some(error),
            Self::Failed(error) => Some(&**error),
        };
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref() {
                return matches!(error, SendError::Disconnected);
            }
            // `io::Error::source` skips the error inside the `io::Error` and returns the source of
            // that error.
            let inside = error.downcast_ref().and_then(io::Error::get_ref);
            source = match inside {
                Some(inside) => Some(inside),
                None => error.source(),
            };
        }
        false
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the application does not serve this kind of scope"),
            Self::Send(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

// `AppError` does not implement `Error`: otherwise this conversion would conflict with the one from
// `T` to `T`.
impl<E: Error + Send + Sync + 'static> From<E> for AppError {
    fn from(error: E) -> Self {
        Self::failed(error)
    }
}

/// The reason for which an event was not delivered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The client is gone, or the call of the application has returned.
    Disconnected,
    /// The event breaks a rule. The exchange is over, and every later send fails with the same
    /// rule.
    Violation(Violation),
    /// The event needs a feature that this scope does not offer. The exchange goes on.
    NotOffered(Feature),
    /// The file of a path send cannot be opened. The exchange goes on.
    File {
        /// The path in the path send.
        path: PathBuf,
        /// The error of the operating system.
        reason: Arc<io::Error>,
    },
    /// The trailer fields of the response exceed the server's limit. The exchange goes on.
    TrailersTooLarge {
        /// The limit for all trailer fields together, in bytes. The size of a field is the length
        /// of its name and its value, plus 32 bytes.
        limit: usize,
    },
}

impl SendError {
    /// Returns the rule that was broken; `None` if the send failed for another reason.
    #[must_use]
    pub fn rule(&self) -> Option<&'static Rule> {
        match self {
            Self::Violation(violation) => Some(violation.rule),
            _ => None,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the client is gone"),
            Self::Violation(violation) => violation.fmt(f),
            Self::NotOffered(feature) => write!(
                f,
                "the server does not offer the feature `{}` on this exchange \
                 (ask `scope.features` first)",
                feature.name()
            ),
            Self::File { path, reason } => write!(f, "cannot send {}: {reason}", path.display()),
            Self::TrailersTooLarge { limit } => {
                write!(f, "the trailer fields take more than {limit} bytes")
            }
        }
    }
}

impl Error for SendError {}

/// A broken rule, with a description of the violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that was broken.
    pub rule: &'static Rule,
    /// A description of the violation, for people.
    pub detail: Cow<'static, str>,
}

impl Violation {
    /// Creates a violation of `rule` with the description `detail`.
    pub fn new(rule: &'static Rule, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            rule,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({})",
            self.rule.id, self.detail, self.rule.sentence
        )
    }
}

impl From<Violation> for SendError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}
