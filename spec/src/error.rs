use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Feature;
use crate::rule::Rule;

/// Why a call of an application ended without success.
///
/// Any error converts into it with `?`; that of a failed send keeps its kind.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppError {
    /// The application does not serve this kind of scope (rule `CORE-02`). Not a failure.
    Unsupported,
    /// A send failed, and the application passed that on.
    Send(SendError),
    /// Anything else that went wrong in the application.
    Failed(Box<dyn Error + Send + Sync>),
}

impl AppError {
    /// A failure described by a text or by another error, boxed or not. A [`SendError`] keeps its
    /// kind.
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

    /// Whether this only says that the client is gone, which is nobody's failure (rule `CORE-10`).
    /// An error whose [source](Error::source) says so counts as well.
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
            // An `io::Error` gives the source of the error inside it, and passes over that itself.
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

// `AppError` is not itself an `Error`, which leaves room for this conversion from all of them.
impl<E: Error + Send + Sync + 'static> From<E> for AppError {
    fn from(error: E) -> Self {
        Self::failed(error)
    }
}

/// Why an event was not delivered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody is there any more: the client is gone, or the call of the application has returned.
    Disconnected,
    /// The event breaks a rule. The exchange is over: every later send fails with the same rule.
    Violation(Violation),
    /// The event needs a feature that this scope does not offer. The exchange goes on.
    NotOffered(Feature),
    /// The file of a path send cannot be opened. The exchange goes on.
    File {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        reason: Arc<io::Error>,
    },
    /// The trailer fields of the response take more than the server holds. The exchange goes on.
    TrailersTooLarge {
        /// What all of them together may take, in bytes; a field counts for its name, its value and
        /// 32 bytes.
        limit: usize,
    },
}

impl SendError {
    /// The rule that the event broke, if that is the reason.
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

/// A rule, and how it was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that was broken.
    pub rule: &'static Rule,
    /// What was seen, in words.
    pub detail: Cow<'static, str>,
}

impl Violation {
    /// A violation of `rule`, seen as `detail` says.
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
