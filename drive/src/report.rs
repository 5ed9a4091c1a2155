//! What is said in the log of calls: one line for each failure, with the request it was.

use std::fmt;

use callgate::{AppError, HttpScope, Violation, WebSocketScope};
use http::uri::PathAndQuery;
use http::{Method, Uri, Version};

/// A request, as it is named in the log.
#[derive(Clone, Debug)]
pub struct RequestLine {
    /// None for a WebSocket.
    method: Option<Method>,
    target: Target,
    version: Version,
}

/// Path and query of a request. A short one is copied: that costs less than to count one more
/// reference to the buffer it was read into, and lets go of that buffer however long the call takes.
#[derive(Clone, Debug)]
enum Target {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(PathAndQuery),
}

/// What takes no more room than a reference does, in bytes.
const SHORT: usize = 38;

impl Target {
    fn of(uri: &Uri) -> Self {
        let Some(target) = uri.path_and_query() else {
            return Self::Short {
                length: 0,
                bytes: [0; SHORT],
            };
        };
        let text = target.as_str().as_bytes();
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(copy), Ok(length)) => {
                copy.copy_from_slice(text);
                Self::Short { length, bytes }
            }
            _ => Self::Long(target.clone()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { length, bytes } => {
                let text = std::str::from_utf8(&bytes[..usize::from(*length)]);
                f.write_str(text.expect("copied from a text"))
            }
            Self::Long(target) => f.write_str(target.as_str()),
        }
    }
}

impl RequestLine {
    /// That of an HTTP request.
    #[must_use]
    pub fn of_http(scope: &HttpScope) -> Self {
        Self {
            method: Some(scope.method.clone()),
            target: Target::of(&scope.uri),
            version: scope.version,
        }
    }

    /// That of a WebSocket.
    #[must_use]
    pub fn of_websocket(scope: &WebSocketScope) -> Self {
        Self {
            method: None,
            target: Target::of(&scope.uri),
            version: scope.version,
        }
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_ref().map_or("WEBSOCKET", Method::as_str);
        write!(f, "{method} {} {:?}", self.target, self.version)
    }
}

/// An application broke a rule.
pub(crate) fn violation(request: &RequestLine, violation: &Violation) {
    tracing::error!(rule = violation.rule.id, "{request}: {violation}");
}

/// An application failed, perhaps after it broke a rule.
pub(crate) fn failure(request: &RequestLine, error: &AppError, broken: Option<&Violation>) {
    match (error, broken) {
        (AppError::Send(error), Some(broken)) if error.rule() == Some(broken.rule) => {
            violation(request, broken);
        }
        (_, Some(broken)) => {
            tracing::error!(rule = broken.rule.id, "{request}: {error} (after {broken})");
        }
        (_, None) => tracing::error!("{request}: {error}"),
    }
}

/// An application panicked.
pub(crate) fn panic(request: &RequestLine, message: &str) {
    tracing::error!("{request}: the application panicked: {message}");
}

/// An application does not serve this kind of scope.
pub(crate) fn declined(request: &RequestLine) {
    tracing::debug!("{request}: the application does not serve this kind of scope");
}

/// An application did not end in time after its client was gone.
pub(crate) fn out_of_grace(request: &RequestLine) {
    tracing::warn!("{request}: dropped, as it went on for too long after its client was gone");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_names_the_whole_target_however_long() {
        for length in [1, SHORT - 1, SHORT, SHORT + 1, 300, 3000] {
            let target = format!("/{}", "x".repeat(length - 1));
            let scope = HttpScope::new(Method::GET, target.parse().unwrap());
            let line = RequestLine::of_http(&scope).to_string();
            assert_eq!(line, format!("GET {target} HTTP/1.1"));
        }
    }
}
